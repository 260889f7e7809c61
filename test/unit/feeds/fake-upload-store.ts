import type { RowOutcome, Upload, UploadRow, UploadStatus, UploadStore } from '../../../src/index.js';
import type { Deferred } from '../../support/deferred.js';

/** A store of one upload, whose calls can be held and made to fail. */
export class FakeStore implements UploadStore {
  status: UploadStatus = 'received';
  type = 'rows';
  readonly outcomes = new Map<number, RowOutcome>();
  readonly calls: string[] = [];
  readonly held = new Map<string, Deferred>();
  readonly broken = new Set<string>();

  constructor(private readonly payloads: readonly unknown[]) {}

  receive(): Promise<Upload> {
    return Promise.reject(new Error('not in these tests'));
  }
  async find(id: string): Promise<Upload | undefined> {
    await this.called('find');
    return id === 'known' ? this.upload() : undefined;
  }
  async readPage(_id: string, after: number, limit: number): Promise<readonly UploadRow[]> {
    await this.called(`readPage ${after}`);
    return this.payloads
      .map((payload, index) => ({ number: index + 1, payload }))
      .filter(({ number }) => number > after && !this.outcomes.has(number))
      .slice(0, limit);
  }
  async recordOutcomes(_id: string, outcomes: readonly RowOutcome[]): Promise<void> {
    await this.called('recordOutcomes');
    for (const outcome of outcomes) {
      if (this.outcomes.get(outcome.number)?.state !== 'done') this.outcomes.set(outcome.number, outcome);
    }
  }
  async start(): Promise<void> {
    await this.called('start');
    this.status = 'processing';
  }
  async finish(): Promise<Upload> {
    await this.called('finish');
    if (this.outcomes.size < this.payloads.length) this.status = 'processing';
    else this.status = this.count('failed') > 0 ? 'completed-with-failures' : 'completed';
    return this.upload();
  }

  upload(): Upload {
    return {
      id: 'known',
      name: 'x',
      type: this.type,
      status: this.status,
      rows: this.payloads.length,
      done: this.count('done'),
      failed: this.count('failed'),
    };
  }
  /** The states of the rows that have an outcome, by their numbers. */
  states(): Record<number, string> {
    return Object.fromEntries([...this.outcomes].map(([number, { state }]) => [number, state]));
  }
  private count(state: RowOutcome['state']): number {
    return [...this.outcomes.values()].filter((outcome) => outcome.state === state).length;
  }
  private async called(call: string): Promise<void> {
    this.calls.push(call);
    await this.held.get(call)?.promise;
    if (this.broken.has(call)) throw new Error(`${call} is broken`);
  }
}
