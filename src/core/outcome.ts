/** Why an item became a dead letter. */
export type DeadReason =
  /** Its last allowed attempt failed. */
  | 'attempts-exhausted'
  /** Its error says that no attempt can succeed. */
  | 'unrecoverable'
  /** It was refused before its first attempt: the payload did not pass a check. */
  | 'rejected'
  /** On a durable engine: its process died, or did not answer, each time when it ran alone. */
  | 'process-died';

/** What one attempt ended as. */
export type Outcome =
  | { readonly kind: 'completed' }
  | { readonly kind: 'retry'; readonly delayMs: number; readonly error: Error }
  | { readonly kind: 'dead'; readonly reason: DeadReason; readonly error: Error };
