// The public names, in the order of the flow.

// Work in
export { WorkerProcess } from './core/worker-process.js';
export type { JobObserver, SubmitOptions } from './core/submit-options.js';
export type { Source } from './core/sources.js';
export { Job, type JobProgress, type JobResult, type JobStatus } from './core/job.js';

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
export type { EngineFactory, ItemCount, QueueDepth } from './core/engine.js';
export * from './core/errors.js';

// Feeds
export { JOB_PROCESS_SETUP, JobProcess, type JobProcessSetup } from './job-process.js';
export {
  MessageSubscription,
  NoItemsError,
  SubscriptionClosedError,
  type Deliver,
  type MessageReceipt,
  type Subscribe,
  type Unsubscribe,
} from './feeds/messages/message-subscription.js';
export type { Acknowledge, MessageOptions, ToItems } from './feeds/messages/message-options.js';
export type {
  CursorRunProgress,
  CursorRunResult,
  CursorRunStatus,
  CursorSource,
  Page,
  Trigger,
  TriggerCause,
} from './feeds/cursors/cursor-source.js';
export type { CursorJobDefinition } from './feeds/cursors/cursor-definition.js';
export { CursorRun } from './feeds/cursors/cursor-run.js';
export { CursorCallTimeLimitError, type CursorCall } from './feeds/cursors/cursor-calls.js';
export { InvalidPageError } from './feeds/cursors/checked-page.js';
export { DuplicateCursorJobError, UnknownCursorJobError } from './feeds/cursors/cursor-feed.js';
export { MemoryCursorCache, type CursorCache } from './feeds/cursors/cursor-cache.js';
export {
  connectRedisCursorCache,
  RedisCursorCache,
  type RedisCursorCacheOptions,
  type RedisForCursors,
} from './feeds/cursors/redis-cursor-cache.js';
export {
  UploadRun,
  type UploadRunProgress,
  type UploadRunResult,
  type UploadRunStatus,
} from './feeds/uploads/upload-run.js';
export type {
  RowOutcome,
  Upload,
  UploadRow,
  UploadStatus,
  UploadStore,
} from './feeds/uploads/upload-store.js';
export * from './feeds/uploads/upload-errors.js';

// Nest
export { WorkerModule } from './nest/worker.module.js';
export type { UploadOptions, WorkerModuleOptions } from './nest/worker-module-options.js';
export { getWorkerTypeToken, InjectWorkerType, WorkerType } from './nest/worker-type.decorator.js';
export { WorkerTypeDoor } from './nest/worker-type-door.js';
export { WorkerFactory, type LateWorkerOptions } from './nest/worker-factory.js';
export { MessageJob, type MessageJobOptions } from './nest/message-job.decorator.js';
export { CursorJob, type CursorJobOptions, type CursorJobSettings } from './nest/cursor-job.decorator.js';
export { closeWithWorkers, type ClosingOptions } from './nest/close-with-workers.js';
