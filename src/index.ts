// The public names, in the order of the flow.

// Work in
export { WorkerProcess, type SubmitOptions } from './core/worker-process.js';
export type { Source } from './core/sources.js';
export { Job, type JobObserver, type JobProgress, type JobResult, type JobStatus } from './core/job.js';

// Workers
export { Worker } from './core/worker.js';
export type { WorkerClass, WorkerDefinition } from './core/worker-definition.js';
export type { ItemContext } from './core/item-context.js';
export type { BatchContext } from './core/batch-context.js';

// The pool
export { WorkerPool } from './core/worker-pool.js';
export { thresholdScaling, type ScalingInput, type ScalingPolicy } from './core/scaling-policy.js';
export type { PerformanceReport, TypePerformance } from './core/performance-report.js';
export type { WorkCounts } from './core/counts.js';

// Outcomes
export type { DeadReason, Outcome } from './core/outcome.js';
export type { RetryPolicy } from './core/retry-policy.js';
export type { DeadLetter, DeadLetterQuery, DeadLetterSelection } from './core/dead-letters.js';
export type {
  EventName,
  Listener,
  PauseReason,
  ScaleReason,
  UnfinishedItem,
  WorkerProcessEvents,
} from './core/events.js';

// Options and errors
export type { WorkerProcessOptionsInput, WorkerTypeOptionsInput } from './core/options.js';
export type { Clock, Timer } from './core/clock.js';
export * from './core/errors.js';
