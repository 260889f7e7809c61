/** What a worker could not do. */
export interface WorkerFailure {
  readonly during: 'start' | 'work' | 'stop';
  readonly error: Error;
}
