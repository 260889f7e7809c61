import { ErrorCode } from 'bullmq';

const LOST = new Set<unknown>([
  ErrorCode.JobNotExist,
  ErrorCode.JobLockNotExist,
  ErrorCode.JobNotInState,
  ErrorCode.JobLockMismatch,
]);

/** Whether BullMQ refused something as the lease that it was asked with is lost. */
export function isLostLease(error: unknown): boolean {
  return LOST.has((error as { code?: unknown } | null)?.code);
}

/** Whether BullMQ refused something as the chunk that it is of is there no more. */
export function isGone(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === ErrorCode.JobNotExist;
}
