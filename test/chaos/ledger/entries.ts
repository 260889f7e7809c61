/** One line of the ledger: something that has happened. Times are milliseconds since the Unix epoch. */
export type LedgerEntry = SubmissionEntry | RunEntry | DeathEntry | TroubleEntry;

/** A producer's call for these items resolved; or it failed, so that they may be there or not. */
export interface SubmissionEntry {
  readonly kind: 'submitted' | 'submission-failed';
  readonly items: readonly string[];
  readonly atMs: number;
}

/** A run of an item by a handler. */
export interface RunEntry {
  readonly kind: 'started' | 'done' | 'failed';
  readonly item: string;
  readonly worker: string;
  readonly pid: number;
  readonly attempt: number;
  readonly atMs: number;
}

/** An item was seen among the dead letters. */
export interface DeathEntry {
  readonly kind: 'dead';
  readonly item: string;
  readonly reason: string;
  readonly atMs: number;
}

/** What was done to the processes and connections, or what an item did to its process. */
export interface TroubleEntry {
  readonly kind: 'trouble';
  readonly trouble:
    | 'worker-killed'
    | 'worker-died'
    | 'worker-stopped'
    | 'worker-woken'
    | 'redis-killed'
    | 'power-cut'
    /** From then on, what is acknowledged is acknowledged by the next Redis. */
    | 'redis-starts'
    | 'connections-cut'
    | 'connections-delayed'
    | 'write-halved';
  /** The worker it happened to, if it happened to one. */
  readonly worker?: string;
  readonly atMs: number;
}
