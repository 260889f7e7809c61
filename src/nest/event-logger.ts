import type { PauseReason } from '../core/events.js';
import type { TypePerformance } from '../core/performance-report.js';
import type { JobProcess } from '../job-process.js';
import type { WorkerLog } from './worker-log.js';

/** Writes what a job process tells to the log: trouble, scaling and reports; never each success, and no payloads. */
export function logEvents(jobs: JobProcess, log: WorkerLog): void {
  logItems(jobs, log);
  logWorkers(jobs, log);
  logFeeds(jobs, log);
}

function logItems(jobs: JobProcess, log: WorkerLog): void {
  jobs.on('retry', ({ type, itemId, attempt, delayMs, error }) =>
    log.warn(
      `${type}: attempt ${attempt} of item ${itemId} failed, next in ${Math.round(delayMs)} ms: ${error.message}`,
      { type, itemId, attempt, delayMs, err: error },
    ),
  );
  jobs.on('deadLetter', ({ type, id, reason, attempts, error }) =>
    log.error(`${type}: item ${id} is a dead letter (${reason}, ${attempts} attempts): ${error.message}`, {
      type,
      itemId: id,
      reason,
      attempts,
      err: error,
    }),
  );
  jobs.on('unfinished', ({ items }) =>
    log.error(
      `${items.length} items were not finished at shutdown, and are lost: give onUnfinished to WorkerModule to keep them`,
      { count: items.length, types: [...new Set(items.map(({ type }) => type))] },
    ),
  );
}

function logWorkers(jobs: JobProcess, log: WorkerLog): void {
  jobs.on('scaled', ({ type, from, to, reason, queueSize }) => {
    const message = `${type}: ${from} → ${to} workers (${reason}, ${queueSize} items)`;
    const fields = { type, from, to, reason, queueSize };
    // Turns and idle ends come and go; a queue that grew or fell is what one looks for.
    if (reason === 'queue-size' || reason === 'requested') log.info(message, fields);
    else log.debug(message, fields);
  });
  jobs.on('workerRetired', ({ type, itemIds, timeoutMs, abandoned }) =>
    log.warn(
      `${type}: a handler passed its time limit of ${timeoutMs} ms and was replaced; ${abandoned} such handlers still run`,
      { type, itemIds, timeoutMs, abandoned },
    ),
  );
  jobs.on('workerFailed', ({ type, during, error, retryInMs }) =>
    log.error(`${type}: a worker could not ${during}: ${error.message}${nextTry(retryInMs)}`, {
      type,
      during,
      retryInMs,
      err: error,
    }),
  );
  jobs.on('paused', ({ type, reason }) => {
    log[reason === 'requested' ? 'info' : 'error'](`${type}: paused: ${PAUSE_TEXT[reason]}`, {
      type,
      reason,
    });
  });
  jobs.on('resumed', ({ type, reason }) => log.info(`${type}: resumed`, { type, reason }));
  jobs.on('listenerFailed', ({ event, error }) =>
    log.error(`A listener of ${event} failed: ${error.message}`, { event, err: error }),
  );
}

function logFeeds(jobs: JobProcess, log: WorkerLog): void {
  jobs.on('cursorRunEnded', ({ name, cause, status, pages, items, failed, error }) => {
    const message = `Cursor job ${name} (${cause}) ${status}: ${pages} pages, ${items} items, ${failed} failed`;
    const fields = { name, cause, status, pages, items, failed };
    if (error === undefined) log.info(message, fields);
    else log.error(`${message}: ${error.message}`, { ...fields, err: error });
  });
  jobs.on('triggerSkipped', ({ name, cause }) =>
    log.warn(`Cursor job ${name} still runs; its ${cause} trigger was skipped`, { name, cause }),
  );
  jobs.on('uploadEnded', ({ uploadId, status, rows, failed, error }) => {
    const message = `Upload ${uploadId} ${status}: ${rows} rows, ${failed} failed`;
    const fields = { uploadId, status, rows, failed };
    if (error === undefined) log.info(message, fields);
    else log.error(`${message}: ${error.message}`, { ...fields, err: error });
  });
}

/** Writes a line for each type that did something since the last report. */
export function logReport(jobs: JobProcess, log: WorkerLog): void {
  const { intervalMs, types } = jobs.reportPerformance();
  for (const performance of types) {
    if (isQuiet(performance)) continue;
    log.info(reportText(performance), { ...performance, intervalMs });
  }
}

function isQuiet({ itemsPerSecond, waiting, running, delayed }: TypePerformance): boolean {
  return itemsPerSecond === 0 && waiting === 0 && running === 0 && delayed === 0;
}

function reportText(performance: TypePerformance): string {
  const { type, itemsPerSecond, workers, completed, waiting, delayed, deadLetters, meanAttemptMs } =
    performance;
  const mean = meanAttemptMs === undefined ? '' : `, ${meanAttemptMs.toFixed(2)} ms an attempt`;
  return (
    `${type}: ${itemsPerSecond.toFixed(1)} items/s by ${workers} workers${mean}; ` +
    `${completed} completed, ${waiting} waiting, ${delayed} delayed, ${deadLetters} dead letters`
  );
}

const PAUSE_TEXT: Readonly<Record<PauseReason, string>> = {
  requested: 'as asked',
  'dead-letters-full': 'maxDeadLetters is reached; redrive or discard some',
  'too-many-abandoned': 'more than maxAbandoned handlers run on after their time limit',
};

function nextTry(retryInMs: number | undefined): string {
  return retryInMs === undefined ? '' : `; next try in ${retryInMs} ms`;
}
