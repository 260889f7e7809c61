import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { errorText } from '../../src/core/error-text.js';
import { toError } from '../../src/core/to-error.js';
import { ChildProgram } from './children/child-program.js';
import { WorkerFleet } from './children/worker-fleet.js';
import { Closing } from './closing.js';
import type { TroubleEntry } from './ledger/entries.js';
import { LedgerReader } from './ledger/ledger-reader.js';
import { LedgerWriter } from './ledger/ledger-writer.js';
import { judge } from './ledger/verdict.js';
import type { FromProgram, ProgramPlan } from './programs/messages.js';
import { Progress } from './progress.js';
import type { ScenarioResult } from './scenario-result.js';
import type { Scenario } from './scenarios.js';
import { SeededRandom } from './seeded-random.js';
import { OwnRedis } from './servers/own-redis.js';
import { TroubleProxy } from './servers/trouble-proxy.js';
import { TroubleMaker } from './trouble-maker.js';

/** How a scenario is run. Times in milliseconds. */
export interface RunSettings {
  readonly program: URL;
  readonly seed: number;
  readonly workers: number;
  /** Undefined: the engine's default. */
  readonly leaseMs: number | undefined;
  /** When nothing has moved for so long, what has not ended is lost. */
  readonly quietMs: number;
  /** The producers pause while so many items are open. */
  readonly mostOpenItems: number;
  /** Ends the run, by its reason. */
  readonly signal: AbortSignal;
  /** Told what goes on, a line each. */
  readonly tell: (line: string) => void;
  readonly isForgetful: boolean;
}

const PREFIX = 'chaos';
/** More than Redis says that it loses: what was acknowledged in the second before is written down a moment later. */
const EVERYSEC_MAY_LOSE_MS = 2_000;
/** For a worker that holds items, and for the rescue of what one held: it may be long when much else waits. */
const PATIENCE_MS = 60_000;
const ORDERLY_END_MS = 15_000;
/** What part of the quiet time is enough when the engine itself says that it has nothing left. */
const EMPTY_QUIET_SHARE = 0.25;
/** A worker that can't even start says the same each time. */
const MOST_PROBLEMS = 10;

export async function runScenario(scenario: Scenario, settings: RunSettings): Promise<ScenarioResult> {
  const run = new ScenarioRun(scenario, settings);
  try {
    await run.open();
    return await run.toTheEnd();
  } finally {
    await run.close();
  }
}

class ScenarioRun {
  private readonly closing = new Closing();
  private readonly stopping = new AbortController();
  private readonly signal: AbortSignal;
  private readonly progress: Progress;
  private readonly problems: string[] = [];
  private readonly startedAtMs = Date.now();
  private folder!: string;
  private ledger!: LedgerWriter;
  private reader!: LedgerReader;
  private redis!: OwnRedis;
  private proxy!: TroubleProxy;
  private fleet!: WorkerFleet;
  private producer!: ChildProgram;
  private watcher!: ChildProgram;
  private isPaused = false;
  private isFinished = false;
  /** Items that the engine has, since the ledger has moved last; undefined: nobody has looked since. */
  private queuedItems: number | undefined;
  /** Why the watcher's last look showed nothing. */
  private blindness: string | undefined;
  private movedAtMs = Date.now();

  constructor(
    private readonly scenario: Scenario,
    private readonly settings: RunSettings,
  ) {
    this.signal = AbortSignal.any([settings.signal, this.stopping.signal]);
    this.progress = new Progress(this.signal);
  }

  async open(): Promise<void> {
    this.closing.add(() => this.progress.close());
    await this.openLedger();
    this.redis = await OwnRedis.start(this.scenario.flush);
    this.closing.add(() => this.redis.stop());
    this.proxy = await TroubleProxy.start(this.redis.port);
    this.closing.add(() => this.proxy.close());
    await this.openPrograms();
  }

  async toTheEnd(): Promise<ScenarioResult> {
    await this.makeTroubles().catch((error: unknown) => this.breakOff(error));
    // Also after a trouble that could not be made: what has been submitted is still to be accounted for.
    await this.awaitEnd().catch((error: unknown) => this.breakOff(error));
    await this.stopPrograms();
    this.reader.readAll();
    const { tally } = this.progress;
    return {
      name: this.scenario.name,
      flush: this.scenario.flush,
      seed: this.settings.seed,
      durationMs: Date.now() - this.startedAtMs,
      problems: this.problems,
      ...judge(tally.entries, this.scenario.flush === 'everysec' ? EVERYSEC_MAY_LOSE_MS : 0),
    };
  }

  close(): Promise<void> {
    return this.closing.close();
  }

  private async openLedger(): Promise<void> {
    const folder = await mkdtemp(path.join(tmpdir(), 'chaos-ledger-'));
    this.closing.add(() => rm(folder, { recursive: true, force: true }));
    this.folder = folder;
    this.ledger = new LedgerWriter(folder, 'suite');
    this.closing.add(() => this.ledger.close());
    this.reader = new LedgerReader(folder, (entries) => {
      this.queuedItems = undefined;
      this.movedAtMs = Date.now();
      this.progress.add(entries);
      this.steerProducer();
    });
    this.closing.add(() => this.reader.close());
  }

  private async openPrograms(): Promise<void> {
    this.fleet = new WorkerFleet(this.settings.workers, (name) => this.spawn('worker', name), {
      changed: () => this.progress.changed(),
      died: ({ name }) => this.write('worker-died', name),
      failed: (worker, end) => this.addProblem(`${worker.name} ended by itself: ${worker.describe(end)}`),
    });
    this.closing.add(() => this.fleet.killAll());
    this.producer = this.spawn('producer', 'producer');
    this.watcher = this.spawn('watcher', 'watcher');
    this.watcher.onMessage((message) => this.seen(message));
    this.producer.onMessage(({ kind }) => {
      this.isFinished ||= kind === 'finished';
      this.progress.changed();
    });
    for (const program of [this.producer, this.watcher]) {
      this.closing.add(() => program.kill());
      void this.watchOver(program);
    }
    await Promise.all([this.fleet.start(), this.producer.ready(), this.watcher.ready()]);
  }

  private seen(message: FromProgram): void {
    if (message.kind === 'blind') this.blindness = message.error;
    if (message.kind !== 'queue') return;
    this.blindness = undefined;
    this.queuedItems = message.items;
    this.progress.changed();
  }

  private async watchOver(program: ChildProgram): Promise<void> {
    const end = await program.ended;
    if (!this.stopping.signal.aborted)
      this.addProblem(`The ${program.name} ended by itself: ${program.describe(end)}`);
  }

  private spawn(role: ProgramPlan['role'], name: string): ChildProgram {
    const { seed, leaseMs, isForgetful, program } = this.settings;
    // The watcher only looks: nothing is in its way.
    const redisUrl = role === 'watcher' ? this.redis.url : `redis://127.0.0.1:${this.proxy.port}`;
    const ledgerFolder = this.folder;
    return new ChildProgram(program, {
      role,
      name,
      ledgerFolder,
      redisUrl,
      prefix: PREFIX,
      seed,
      leaseMs,
      isForgetful,
    });
  }

  private async makeTroubles(): Promise<void> {
    const { fleet, producer, redis, proxy, progress, signal } = this;
    const maker = new TroubleMaker({
      fleet,
      producer,
      redis,
      proxy,
      progress,
      signal,
      random: new SeededRandom(this.settings.seed).fork(`victims of ${this.scenario.name}`),
      patienceMs: PATIENCE_MS,
      write: (trouble, worker) => this.write(trouble, worker),
      readLedger: () => this.reader.readAll(),
    });
    for (const { afterMs, trouble } of this.scenario.troubles) {
      await delay(afterMs, undefined, { signal });
      this.settings.tell(`${this.scenario.name}: ${JSON.stringify(trouble)}`);
      await maker.make(trouble);
    }
  }

  private async awaitEnd(): Promise<void> {
    this.producer.tell({ kind: 'finish' });
    await this.progress.until(() => this.hasEnded() || undefined, { quietMs: this.settings.quietMs });
    if (!this.isFinished) this.addProblem('The producer could not submit all of its items');
    // A Redis that loses its last second may do so with what the engine keeps of its own, too.
    if (this.scenario.flush === 'always' && this.queuedItems !== 0)
      this.addProblem(
        `The engine has ${this.queuedItems ?? 'an unknown number of'} items that it does not run`,
      );
  }

  private describeRest(): string {
    if (this.blindness !== undefined) return `What the engine has can't be seen: ${this.blindness}`;
    if (this.queuedItems === undefined) return 'Items were still run when patience was over';
    return `The engine has ${this.queuedItems} items that it does not run`;
  }

  /** All has ended; or what has not is nowhere any more. */
  private hasEnded(): boolean {
    if (!this.isFinished || this.queuedItems !== 0) return false;
    const isQuiet = Date.now() - this.movedAtMs > this.settings.quietMs * EMPTY_QUIET_SHARE;
    return this.progress.tally.openItems === 0 || isQuiet;
  }

  /** What went wrong here is a result like others; the end of the whole suite is none. */
  private breakOff(error: unknown): void {
    if (this.settings.signal.aborted) throw error;
    if (!this.stopping.signal.aborted) this.addProblem(errorText(toError(error)));
  }

  private async stopPrograms(): Promise<void> {
    this.stopping.abort(new Error('The scenario is over'));
    const late = await this.fleet.stop(ORDERLY_END_MS);
    for (const program of [this.producer, this.watcher])
      if (!(await program.stop(ORDERLY_END_MS))) late.push(program.name);
    for (const name of late) this.addProblem(`${name} did not end within ${ORDERLY_END_MS} ms of being told`);
  }

  private steerProducer(): void {
    const { openItems } = this.progress.tally;
    const { mostOpenItems } = this.settings;
    if (!this.isPaused && openItems > mostOpenItems) {
      this.isPaused = true;
      this.producer.tell({ kind: 'pause' });
    } else if (this.isPaused && openItems < mostOpenItems / 2) {
      this.isPaused = false;
      this.producer.tell({ kind: 'resume' });
    }
  }

  private write(trouble: TroubleEntry['trouble'], worker?: string): void {
    const entry = { kind: 'trouble', trouble, atMs: Date.now() } as const;
    this.ledger.write(worker === undefined ? entry : { ...entry, worker });
  }

  private addProblem(problem: string): void {
    this.problems.push(problem);
    this.settings.tell(`${this.scenario.name}: ${problem}`);
    if (this.problems.length > MOST_PROBLEMS)
      this.stopping.abort(new Error(`${this.scenario.name}: ${this.problems.join('\n')}`));
  }
}
