import { errorText } from '../core/error-text.js';
import type { PauseReason } from '../core/events.js';
import type { JobProcess } from '../job-process.js';
import { counted } from './counted.js';
import { listFields, listText } from './item-list.js';
import type { WorkerLog } from './worker-log.js';

/** The part of a job process that tells what goes on. */
type Events = Pick<JobProcess, 'on'>;

/** Writes what a job process tells to the log: trouble and scaling; never each success, and no payloads. */
export function logEvents(jobs: Events, log: WorkerLog): void {
  logItems(jobs, log);
  logLeftovers(jobs, log);
  logWorkers(jobs, log);
  logTypes(jobs, log);
  logFeeds(jobs, log);
}

function logItems(jobs: Events, log: WorkerLog): void {
  jobs.on('retry', ({ type, itemId, attempt, delayMs, error }) =>
    log.warn(
      `${type}: attempt ${attempt} of item ${itemId} failed, next in ${Math.round(delayMs)} ms: ${errorText(error)}`,
      // Without the stack: of retries there are thousands when a server is down. The dead letter that comes of them has it.
      { type, itemId, attempt, delayMs },
    ),
  );
  jobs.on('deadLetter', ({ type, id, reason, attempts, error }) =>
    log.error(
      `${type}: item ${id} is a dead letter (${reason}, ${counted(attempts, 'attempt')}): ${errorText(error)}`,
      // Who refuses an item says why; a stack for each bad row of a file would say no more.
      { type, itemId: id, reason, attempts, ...(reason === 'attempts-exhausted' && { err: error }) },
    ),
  );
}

function logLeftovers(jobs: Events, log: WorkerLog): void {
  jobs.on('unfinished', ({ items }) =>
    log.error(
      `Not finished at shutdown, and lost as no onUnfinished of WorkerModule took them: ${listText(items, 'item')}`,
      listFields(items),
    ),
  );
  jobs.on('deadLettersLeft', ({ letters }) =>
    log.error(
      `Left at shutdown, and lost as no onDeadLetters of WorkerModule took them: ${listText(letters, 'dead letter')}`,
      listFields(letters),
    ),
  );
}

function logWorkers(jobs: Events, log: WorkerLog): void {
  jobs.on('scaled', ({ type, from, to, reason, queueSize }) => {
    const message = `${type}: ${from} → ${counted(to, 'worker')} (${reason}, ${counted(queueSize, 'item')})`;
    const fields = { type, from, to, reason, queueSize };
    // Turns and idle ends come and go; a queue that grew or fell is what one looks for.
    if (reason === 'queue-size' || reason === 'requested') log.info(message, fields);
    else log.debug(message, fields);
  });
  jobs.on('workerRetired', ({ type, itemIds, timeoutMs, abandoned }) =>
    log.warn(
      `${type}: a handler passed its time limit of ${timeoutMs} ms and was replaced; ${counted(abandoned, 'call')} left running`,
      { type, itemIds, timeoutMs, abandoned },
    ),
  );
  jobs.on('workerFailed', ({ type, during, error, retryInMs }) =>
    log.error(`${type}: a worker could not ${during}: ${errorText(error)}${nextTry(retryInMs)}`, {
      type,
      during,
      retryInMs,
      err: error,
    }),
  );
}

function logTypes(jobs: Events, log: WorkerLog): void {
  jobs.on('paused', ({ type, reason }) => {
    log[reason === 'requested' ? 'info' : 'error'](`${type}: paused: ${PAUSE_TEXT[reason]}`, {
      type,
      reason,
    });
  });
  jobs.on('resumed', ({ type, reason }) => log.info(`${type}: resumed`, { type, reason }));
  jobs.on('standstill', ({ type, waitingProducers, running, forMs }) =>
    log.warn(
      `${type}: nothing has ended for ${forMs} ms in a full queue; ${counted(waitingProducers, 'producer')} waiting for room, ` +
        `${running} running. Does a handler submit to its own type without fromHandler?`,
      { type, waitingProducers, running, forMs },
    ),
  );
  jobs.on('engineTroubled', ({ error }) =>
    log.error(`The store of the engine is in trouble, and is tried again: ${errorText(error)}`, {
      err: error,
    }),
  );
  jobs.on('leaseLost', ({ type, items, unheardMs }) =>
    log.warn(`${type}: ${leaseLostText(items, unheardMs)}`, { type, items, unheardMs }),
  );
  jobs.on('callbackFailed', ({ event, error }) =>
    log.error(`The callback ${event} failed: ${errorText(error)}`, { event, err: error }),
  );
}

function logFeeds(jobs: Events, log: WorkerLog): void {
  jobs.on('cursorRunEnded', ({ name, cause, status, pages, items, failed, error }) => {
    const message = `Cursor job ${name} (${cause}) ${status}: ${counted(pages, 'page')}, ${counted(items, 'item')}, ${failed} failed`;
    const fields = { name, cause, status, pages, items, failed };
    if (error === undefined) log.info(message, fields);
    else log.error(`${message}: ${errorText(error)}`, { ...fields, err: error });
  });
  jobs.on('triggerSkipped', ({ name, cause }) =>
    log.warn(`Cursor job ${name} still runs; its ${cause} trigger was skipped`, { name, cause }),
  );
  jobs.on('uploadEnded', ({ uploadId, status, rows, failed, error }) => {
    const message = `Upload ${uploadId} ${status}: ${counted(rows, 'row')}, ${failed} failed`;
    const fields = { uploadId, status, rows, failed };
    if (error === undefined) log.info(message, fields);
    else log.error(`${message}: ${errorText(error)}`, { ...fields, err: error });
  });
  jobs.on('outcomesNotWritten', ({ uploadId, rows, error }) => {
    const lost = rows.length === 0 ? 'its status' : `what became of ${counted(rows.length, 'redriven row')}`;
    log.error(`Upload ${uploadId}: ${lost} could not be written: ${errorText(error)}`, {
      uploadId,
      count: rows.length,
      rows: rows.slice(0, ROWS_IN_FIELDS),
      err: error,
    });
  });
}

function leaseLostText(items: number, unheardMs: number | undefined): string {
  const lost = `lost ${counted(items, 'item')} that it had leased; they run again elsewhere, and what it did for them does not count`;
  if (unheardMs === undefined) return lost;
  return `${lost}. No sign of life for ${Math.round(unheardMs)} ms: does a handler block the event loop?`;
}

/** Numbers of rows among the fields of a line: what takes the log has its bounds. */
const ROWS_IN_FIELDS = 1_000;

const PAUSE_TEXT: Readonly<Record<PauseReason, string>> = {
  requested: 'as asked',
  'dead-letters-full': 'maxDeadLetters is reached; redrive or discard some',
  'too-many-abandoned':
    'more than maxAbandoned handlers, starts and stops of workers run on after their time limit',
};

function nextTry(retryInMs: number | undefined): string {
  return retryInMs === undefined ? '' : `; next try in ${retryInMs} ms`;
}
