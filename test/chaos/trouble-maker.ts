import { setTimeout as delay } from 'node:timers/promises';
import { fateOf } from './chaos-item.js';
import type { ChildProgram } from './children/child-program.js';
import type { WorkerFleet } from './children/worker-fleet.js';
import type { TroubleEntry } from './ledger/entries.js';
import type { Progress } from './progress.js';
import type { SeededRandom } from './seeded-random.js';
import type { OwnRedis } from './servers/own-redis.js';
import type { TroubleProxy } from './servers/trouble-proxy.js';
import type { Trouble } from './trouble.js';

/** What trouble is made with. */
export interface Ground {
  readonly fleet: WorkerFleet;
  readonly producer: ChildProgram;
  readonly redis: OwnRedis;
  readonly proxy: TroubleProxy;
  readonly progress: Progress;
  readonly random: SeededRandom;
  readonly signal: AbortSignal;
  /** Longest time for what has to come by itself: a worker that holds items, the rescue of what one held. */
  readonly patienceMs: number;
  readonly write: (trouble: TroubleEntry['trouble'], worker?: string) => void;
  /** Reads what the processes have written by now. */
  readonly readLedger: () => void;
}

export class TroubleMaker {
  constructor(private readonly ground: Ground) {}

  /** Resolves when the trouble is over, not when its consequences are. @throws Error when there was nothing to trouble */
  async make(trouble: Trouble): Promise<void> {
    switch (trouble.kind) {
      case 'kill-worker':
        await this.killWorker();
        return;
      case 'kill-worker-and-wait':
        return this.awaitRescue(await this.killWorker(), Date.now());
      case 'stop-worker':
        return this.stopWorker();
      case 'submit-poison':
        return this.ground.producer.tell({ kind: 'submit-poison' });
      case 'kill-redis':
        this.ground.write('redis-killed');
        await this.ground.redis.kill();
        return this.startRedis(trouble.downMs);
      case 'cut-power':
        this.ground.write('power-cut');
        await this.ground.redis.cutPower();
        return this.startRedis(trouble.downMs);
      case 'cut-connections':
        this.ground.write('connections-cut');
        this.ground.proxy.cutAll();
        return;
      case 'delay-connections':
        return this.delayConnections(trouble.delayMs, trouble.forMs);
      case 'halve-write':
        await this.ground.proxy.halveNext(trouble.direction);
        return this.ground.write('write-halved');
      default:
        throw trouble satisfies never;
    }
  }

  private async killWorker(): Promise<ChildProgram> {
    const worker = await this.busyWorker();
    this.ground.write('worker-killed', worker.name);
    await this.ground.fleet.kill(worker);
    return worker;
  }

  private async stopWorker(): Promise<void> {
    const { write } = this.ground;
    const { worker, wake } = await this.stopInTheMidst();
    write('worker-stopped', worker.name);
    try {
      await this.awaitRescue(worker, Date.now());
    } finally {
      write('worker-woken', worker.name);
      await wake();
    }
  }

  /** A worker that was stopped while it ran an item that can succeed. Until it stands still it may end those that it was seen with. */
  private async stopInTheMidst(): Promise<{ worker: ChildProgram; wake: () => Promise<void> }> {
    const { progress, readLedger } = this.ground;
    for (;;) {
      const worker = await this.busyWorker();
      const wake = await worker.stopForNow();
      readLedger();
      if (progress.tally.heldBy(worker.name).some((item) => fateOf(item) === 'good')) return { worker, wake };
      await wake();
    }
  }

  /** Resolves when all that the worker holds has been started elsewhere. */
  private async awaitRescue({ name }: ChildProgram, sinceMs: number): Promise<void> {
    const { progress, patienceMs, readLedger } = this.ground;
    readLedger();
    const held = progress.tally.heldBy(name);
    const isRescued = (item: string): boolean => {
      const start = progress.tally.lastStart(item);
      return start !== undefined && start.worker !== name && start.atMs >= sinceMs;
    };
    const patience = { withinMs: patienceMs };
    if (await progress.until(() => held.every(isRescued) || undefined, patience)) return;
    const left = held.filter((item) => !isRescued(item));
    throw new Error(
      `Expected the items that ${name} held to run elsewhere within ${patienceMs} ms; these did not: ${left.join(', ')}`,
    );
  }

  /** One of the workers that hold items: in the middle of their work. */
  private async busyWorker(): Promise<ChildProgram> {
    const { fleet, progress, patienceMs, random } = this.ground;
    const worker = await progress.until(
      () => {
        const busy = fleet.ready().filter(({ name }) => progress.tally.heldBy(name).length > 0);
        return busy.length === 0 ? undefined : random.oneOf(busy);
      },
      { withinMs: patienceMs },
    );
    if (worker) return worker;
    throw new Error(`Expected a worker to hold items within ${patienceMs} ms, but none does`);
  }

  private async startRedis(downMs: number): Promise<void> {
    await delay(downMs, undefined, { signal: this.ground.signal });
    this.ground.write('redis-starts');
    await this.ground.redis.startAgain();
  }

  private async delayConnections(delayMs: number, forMs: number): Promise<void> {
    this.ground.write('connections-delayed');
    this.ground.proxy.delayAll(delayMs);
    try {
      await delay(forMs, undefined, { signal: this.ground.signal });
    } finally {
      this.ground.proxy.delayAll(0);
    }
  }
}
