import type { ChildEnd, ChildProgram } from './child-program.js';

export interface FleetListener {
  /** A worker is ready, or has gone. */
  changed(): void;
  /** A worker was killed from its inside, as poison does. */
  died(worker: ChildProgram): void;
  /** A worker ended that nobody had told to: no trouble may do that. */
  failed(worker: ChildProgram, end: ChildEnd): void;
}

/** So many worker processes, each replaced as soon as it has gone. */
export class WorkerFleet {
  private readonly workers = new Set<ChildProgram>();
  private readonly killed = new Set<ChildProgram>();
  private started = 0;
  private isEnding = false;

  constructor(
    private readonly size: number,
    private readonly spawn: (name: string) => ChildProgram,
    private readonly listener: FleetListener,
  ) {}

  /** Resolves when all are ready. */
  async start(): Promise<void> {
    const first = Array.from({ length: this.size }, () => this.startOne());
    await Promise.all(first.map((worker) => worker.ready()));
  }

  /** Those that have begun to work and are not being killed. */
  ready(): ChildProgram[] {
    return [...this.workers].filter((worker) => worker.isReady && !this.killed.has(worker));
  }

  /** Ends a worker by kill -9; another one starts in its place. */
  async kill(worker: ChildProgram): Promise<void> {
    this.killed.add(worker);
    await worker.kill();
  }

  /** Ends all in order. @returns the names of those that had to be killed */
  async stop(limitMs: number): Promise<string[]> {
    this.isEnding = true;
    const stops = [...this.workers].map(async (worker) => {
      // One that has not begun could not yet hear that it shall end.
      if (!worker.isReady) return this.kill(worker).then(() => undefined);
      return (await worker.stop(limitMs)) ? undefined : worker.name;
    });
    return (await Promise.all(stops)).filter((name) => name !== undefined);
  }

  /** Ends all at once. */
  async killAll(): Promise<void> {
    this.isEnding = true;
    await Promise.all([...this.workers].map((worker) => this.kill(worker)));
  }

  private startOne(): ChildProgram {
    const worker = this.spawn(`worker-${++this.started}`);
    this.workers.add(worker);
    worker.onMessage(() => this.listener.changed());
    void worker.ended.then((end) => this.gone(worker, end));
    return worker;
  }

  private gone(worker: ChildProgram, end: ChildEnd): void {
    this.workers.delete(worker);
    if (!this.isEnding) {
      if (!this.killed.has(worker)) {
        if (end.signal === 'SIGKILL') this.listener.died(worker);
        else this.listener.failed(worker, end);
      }
      this.startOne();
    }
    this.listener.changed();
  }
}
