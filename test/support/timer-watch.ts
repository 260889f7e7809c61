export interface TimerScope {
  setTimeout: typeof setTimeout;
  setInterval: typeof setInterval;
}

interface PromiseTimers {
  setTimeout: typeof import('node:timers/promises').setTimeout;
}

interface Pending {
  readonly kind: string;
  /** Its stack is where the timer was made. It is only written out for a timer that leaks. */
  readonly origin: Error;
}

const FIRST_SWEEP_AT = 1_000;

/**
 * Remembers where each timer was made, unreferenced ones included, by standing in for the functions that make them.
 * Hooks on all asynchronous resources would see them too, but they make every promise several times slower.
 */
export class TimerWatch {
  private readonly timers = new Map<NodeJS.Timeout, Pending>();
  private readonly waits = new Set<Pending>();
  private readonly undo: (() => void)[] = [];
  private sweepAt = FIRST_SWEEP_AT;

  watch(scope: TimerScope): void {
    this.standIn(scope, 'setTimeout');
    this.standIn(scope, 'setInterval');
  }

  watchPromises(scope: PromiseTimers): void {
    const original = scope.setTimeout;
    const standIn: typeof original = async (...args) => {
      const pending = this.pendingFrom('setTimeout of node:timers/promises', standIn);
      this.waits.add(pending);
      try {
        return await original(...args);
      } finally {
        this.waits.delete(pending);
      }
    };
    scope.setTimeout = standIn;
    this.undo.push(() => (scope.setTimeout = original));
  }

  pending(): string[] {
    this.sweep();
    return [...this.timers.values(), ...this.waits].map(({ kind, origin }) => {
      const frames = origin.stack?.split('\n').slice(1) ?? [];
      return [`A timer (${kind}) is pending. It was made`, ...frames.filter(isNotOfJest)].join('\n');
    });
  }

  stop(): void {
    for (const undo of this.undo.splice(0)) undo();
  }

  private standIn<K extends keyof TimerScope>(scope: TimerScope, kind: K): void {
    const original = scope[kind] as (...args: unknown[]) => NodeJS.Timeout;
    const standIn = (...args: unknown[]): NodeJS.Timeout => {
      const timer = original(...args);
      if (this.timers.size >= this.sweepAt) this.sweep();
      this.timers.set(timer, this.pendingFrom(kind, standIn));
      return timer;
    };
    // `util.promisify(setTimeout)` finds what it needs in a property of the original.
    Object.defineProperties(standIn, Object.getOwnPropertyDescriptors(original));
    scope[kind] = standIn as unknown as TimerScope[K];
    this.undo.push(() => (scope[kind] = original as unknown as TimerScope[K]));
  }

  private pendingFrom(kind: string, caller: (...args: never[]) => unknown): Pending {
    const origin = new Error(kind);
    Error.captureStackTrace(origin, caller);
    return { kind, origin };
  }

  private sweep(): void {
    for (const timer of this.timers.keys()) if (isOver(timer)) this.timers.delete(timer);
    this.sweepAt = Math.max(FIRST_SWEEP_AT, this.timers.size * 2);
  }
}

function isNotOfJest(frame: string): boolean {
  return !/node_modules.jest-|new Promise \(<anonymous>\)/.test(frame);
}

/** Node tells this of a timer by no public property. */
function isOver(timer: NodeJS.Timeout): boolean {
  const { _destroyed: isDestroyed } = timer as unknown as { _destroyed: boolean };
  return isDestroyed;
}
