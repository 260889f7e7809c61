import { setTimeout as delay } from 'node:timers/promises';
import { promiseWithResolve, type PromiseWithResolve } from '../../../src/core/promise-with-resolve.js';
import { ItemMaker, type ChaosItem } from '../chaos-item.js';
import type { LedgerWriter } from '../ledger/ledger-writer.js';
import { SeededRandom } from '../seeded-random.js';
import type { EngineUnderTest } from './engine-under-test.js';
import { tellSuite, type ProgramPlan, type ToProgram } from './messages.js';
import type { Role } from './run-program.js';

const SHORTEST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 60;
const LARGEST_SET = 200;
const POISONED_SET = 50;
/** Half of the submissions are of one item. */
const SINGLE_SHARE = 0.5;
const RETRY_MS = 100;

/** Submits sets and single items, and each of them again until the engine has taken it. */
export class Producer implements Role {
  private readonly random: SeededRandom;
  private readonly maker: ItemMaker;
  private readonly poisoned: Promise<void>[] = [];
  private paused: PromiseWithResolve<void> | undefined;
  private isFinishing = false;

  constructor(
    plan: ProgramPlan,
    private readonly engine: EngineUnderTest,
    private readonly ledger: LedgerWriter,
  ) {
    this.random = new SeededRandom(plan.seed).fork(plan.name);
    this.maker = new ItemMaker(plan.name, this.random);
  }

  async start(): Promise<void> {
    void this.produce();
  }

  tell({ kind }: Exclude<ToProgram, { kind: 'stop' }>): void {
    switch (kind) {
      case 'pause':
        this.paused ??= promiseWithResolve();
        return;
      case 'resume':
        return this.goOn();
      case 'submit-poison':
        this.poisoned.push(this.submit(this.makePoisonedSet()));
        return;
      case 'finish':
        this.isFinishing = true;
        return this.goOn();
      default:
        throw kind satisfies never;
    }
  }

  async stop(): Promise<void> {
    this.isFinishing = true;
    this.goOn();
  }

  private async produce(): Promise<void> {
    while (!this.isFinishing) {
      await this.submit(this.makeSet());
      await delay(this.random.between(SHORTEST_PAUSE_MS, LONGEST_PAUSE_MS));
      await this.paused?.promise;
    }
    await Promise.all(this.poisoned);
    tellSuite({ kind: 'finished' });
  }

  private goOn(): void {
    this.paused?.resolve();
    this.paused = undefined;
  }

  private makeSet(): ChaosItem[] {
    const size = this.random.next() < SINGLE_SHARE ? 1 : this.random.between(2, LARGEST_SET);
    return Array.from({ length: size }, () => this.maker.make());
  }

  private makePoisonedSet(): ChaosItem[] {
    const place = this.random.between(0, POISONED_SET - 1);
    return Array.from({ length: POISONED_SET }, (_, index) =>
      this.maker.make(index === place ? 'poison' : undefined),
    );
  }

  private async submit(set: readonly ChaosItem[]): Promise<void> {
    const items = set.map(({ name }) => name);
    for (;;) {
      try {
        await this.engine.submit(set);
        return this.ledger.write({ kind: 'submitted', items, atMs: Date.now() });
      } catch {
        this.ledger.write({ kind: 'submission-failed', items, atMs: Date.now() });
        await delay(RETRY_MS);
      }
    }
  }
}
