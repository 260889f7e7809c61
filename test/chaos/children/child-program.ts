import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { FromProgram, ProgramPlan, ToProgram } from '../programs/messages.js';

const TYPESCRIPT = new URL('../../support/typescript.mjs', import.meta.url).href;
/** A stopped process can't notice that the suite is gone, so it is woken by another one that can. */
const STOP_WHILE_READING = 'kill -STOP "$1"; echo stopped; read -r _; kill -CONT "$1"';
const ERRORS_TAIL_CHARACTERS = 2_000;

export interface ChildEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A program of the suite in a process of its own. */
export class ChildProgram {
  /** Resolves when it has ended, for whatever reason. */
  readonly ended: Promise<ChildEnd>;
  isReady = false;
  private readonly child: ChildProcess;
  private readonly listeners = new Set<(message: FromProgram) => void>();
  private errors = '';

  constructor(
    file: URL,
    private readonly plan: ProgramPlan,
  ) {
    this.child = spawn(
      process.execPath,
      ['--import', TYPESCRIPT, fileURLToPath(file), JSON.stringify(plan)],
      // A group of its own: the Ctrl-C of a terminal is for the suite alone, which ends its children itself.
      { detached: true, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] },
    );
    this.child.stderr?.on('data', (chunk: Buffer) => {
      this.errors = (this.errors + chunk.toString()).slice(-ERRORS_TAIL_CHARACTERS);
    });
    this.child.on('message', (message: FromProgram) => this.hear(message));
    this.ended = once(this.child, 'close').then(([code, signal]) => ({ code, signal }));
  }

  get name(): string {
    return this.plan.name;
  }

  /** Resolves when it is ready. @throws Error when it ends before */
  async ready(): Promise<void> {
    const isReady = new Promise<void>((resolve) => {
      this.onMessage(({ kind }) => {
        if (kind === 'ready') resolve();
      });
    });
    const end = await Promise.race([isReady, this.ended]);
    if (end) throw new Error(`Expected ${this.name} to become ready, but it ended: ${this.describe(end)}`);
  }

  /** How it ended, with what it has printed. */
  describe({ code, signal }: ChildEnd): string {
    return `${signal ?? `exit code ${code}`}, ${this.errors === '' ? 'it printed nothing' : this.errors.trim()}`;
  }

  /** Calls the listener at each message from now on. */
  onMessage(listener: (message: FromProgram) => void): void {
    this.listeners.add(listener);
  }

  tell(message: ToProgram): void {
    // One that has just died hears nothing, and is replaced.
    if (this.child.connected) this.child.send(message, () => undefined);
  }

  /** Stops it in the midst of whatever it does. @returns what lets it go on */
  async stopForNow(): Promise<() => Promise<void>> {
    const keeper = spawn('sh', ['-c', STOP_WHILE_READING, 'sh', String(this.child.pid)], {
      detached: true,
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    const ended = once(keeper, 'close');
    await once(keeper.stdout, 'data');
    return async () => {
      keeper.stdin.end();
      await ended;
    };
  }

  /** Ends it at once, also when it is stopped. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }

  /** Ends it in order, or else by force. @returns whether it ended by itself in the time */
  async stop(limitMs: number): Promise<boolean> {
    this.tell({ kind: 'stop' });
    let forced = false;
    const timer = setTimeout(() => {
      forced = true;
      this.child.kill('SIGKILL');
    }, limitMs);
    await this.ended;
    clearTimeout(timer);
    return !forced;
  }

  private hear(message: FromProgram): void {
    if (message.kind === 'ready') this.isReady = true;
    for (const listener of this.listeners) listener(message);
  }
}
