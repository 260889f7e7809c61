/** What a program of the suite is told when it starts. */
export interface ProgramPlan {
  readonly role: 'worker' | 'producer' | 'watcher';
  /** Of its own: names its ledger. */
  readonly name: string;
  readonly ledgerFolder: string;
  readonly redisUrl: string;
  /** Of the keys in Redis. */
  readonly prefix: string;
  readonly seed: number;
  /** How long a lease lasts, and how often lapsed ones are looked for, in milliseconds. Undefined: the engine's defaults. */
  readonly leaseMs: number | undefined;
  /** Whether a stand-in for the engine forgets some items on purpose; for the spec of the suite. */
  readonly isForgetful: boolean;
}

/** What the suite tells a program. */
export type ToProgram =
  /** To a producer: submits nothing new until `resume`. */
  | { readonly kind: 'pause' }
  | { readonly kind: 'resume' }
  /** To a producer: submits a set with one poison item in it. */
  | { readonly kind: 'submit-poison' }
  /** To a producer: submits nothing new, and tells when the last is stored. */
  | { readonly kind: 'finish' }
  /** Ends in order. */
  | { readonly kind: 'stop' };

/** What a program tells the suite. */
export type FromProgram =
  | { readonly kind: 'ready' }
  /** From a producer: all that it began to submit is stored. */
  | { readonly kind: 'finished' }
  /** From the watcher: items that the engine still has. */
  | { readonly kind: 'queue'; readonly items: number }
  /** From the watcher: it could not look. */
  | { readonly kind: 'blind'; readonly error: string };

export function tellSuite(message: FromProgram): void {
  process.send?.(message);
}
