import { describe, expect, test } from '@jest/globals';
import { EventChannel, type EventName, type WorkerProcessEvents } from '../../../src/core/events.js';
import type { PerformanceReport } from '../../../src/core/performance-report.js';
import { logEvents } from '../../../src/nest/event-logger.js';
import { ReportLogger } from '../../../src/nest/report-logger.js';
import type { LogFields, WorkerLog } from '../../../src/nest/worker-log.js';

interface Line {
  readonly level: keyof WorkerLog;
  readonly message: string;
  readonly fields: LogFields;
}

function recordingLog(): { log: WorkerLog; lines: Line[] } {
  const lines: Line[] = [];
  const write = (level: keyof WorkerLog) => (message: string, fields: LogFields) =>
    void lines.push({ level, message, fields });
  return {
    log: { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') },
    lines,
  };
}

/** The line for an event; `event` may lack what the line does not tell. */
function lineFor<Name extends EventName>(name: Name, event: Partial<WorkerProcessEvents[Name]>): Line {
  const events = new EventChannel();
  events.add(['cursorRunEnded', 'triggerSkipped', 'uploadEnded', 'outcomesNotWritten']);
  const { log, lines } = recordingLog();
  logEvents(events, log);
  events.emit(name, event as WorkerProcessEvents[Name]);
  expect(lines).toHaveLength(1);
  return lines[0]!;
}

const error = new Error('no such mailbox');
const scaled = { type: 'mail', from: 0, reason: 'queue-size' } as const;

test('an error whose message can not be read costs no line', () => {
  class Hostile extends Error {
    override get message(): string {
      throw new Error('gotcha');
    }
  }
  const event = { type: 'mail', id: 'a:0', reason: 'attempts-exhausted', attempts: 1 } as const;
  expect(lineFor('deadLetter', { ...event, error: new Hostile() }).message).toBe(
    "mail: item a:0 is a dead letter (attempts-exhausted, 1 attempt): a Hostile whose message can't be read",
  );
});

test('a retry is one line without its error, as there may be thousands', () => {
  expect(lineFor('retry', { type: 'mail', itemId: 'a:0', attempt: 1, delayMs: 1_000.4, error })).toEqual({
    level: 'warn',
    message: 'mail: attempt 1 of item a:0 failed, next in 1000 ms: no such mailbox',
    fields: { type: 'mail', itemId: 'a:0', attempt: 1, delayMs: 1_000.4 },
  });
});

test.each([
  ['attempts-exhausted', true],
  ['unrecoverable', false],
  ['rejected', false],
] as const)('a dead letter for the reason %s carries its error: %p', (reason, carries) => {
  const { fields } = lineFor('deadLetter', { type: 'mail', id: 'a:0', reason, attempts: 1, error });
  expect(fields.err).toBe(carries ? error : undefined);
});

describe('a number stands with its word:', () => {
  test.each([
    [lineFor('scaled', { ...scaled, to: 1, queueSize: 1 }), 'mail: 0 → 1 worker (queue-size, 1 item)'],
    [lineFor('scaled', { ...scaled, to: 2, queueSize: 15 }), 'mail: 0 → 2 workers (queue-size, 15 items)'],
    [
      lineFor('deadLetter', { type: 'mail', id: 'a:0', reason: 'attempts-exhausted', attempts: 1, error }),
      'mail: item a:0 is a dead letter (attempts-exhausted, 1 attempt): no such mailbox',
    ],
    [
      lineFor('deadLetter', { type: 'mail', id: 'a:0', reason: 'rejected', attempts: 0, error }),
      'mail: item a:0 is a dead letter (rejected, 0 attempts): no such mailbox',
    ],
    [
      lineFor('workerRetired', { type: 'mail', itemIds: ['a:0'], timeoutMs: 50, abandoned: 1 }),
      'mail: a handler passed its time limit of 50 ms and was replaced; 1 call left running',
    ],
    [
      lineFor('cursorRunEnded', {
        name: 'daily',
        cause: 'cron',
        status: 'completed',
        pages: 1,
        items: 1,
        failed: 0,
      }),
      'Cursor job daily (cron) completed: 1 page, 1 item, 0 failed',
    ],
    [
      lineFor('uploadEnded', { uploadId: 'u1', status: 'completed', rows: 1, failed: 1 }),
      'Upload u1 completed: 1 row, 1 failed',
    ],
    [
      lineFor('standstill', { type: 'mail', waitingProducers: 1, running: 2, forMs: 1_000 }),
      'mail: nothing has ended for 1000 ms in a full queue; 1 producer waiting for room, 2 running. ' +
        'Does a handler submit to its own type without fromHandler?',
    ],
  ])('%j', ({ message }, expected) => {
    expect(message).toBe(expected);
  });
});

const named = (type: string, count: number) =>
  Array.from({ length: count }, (_, index) => ({ type, id: `${type}:${index}` }));

describe('what a shutdown leaves', () => {
  test('is named by type: a few ids in the text, all among the fields', () => {
    const items = [
      ...named('mail', 5),
      ...named('import', 1),
    ] as unknown as WorkerProcessEvents['unfinished']['items'];
    expect(lineFor('unfinished', { items })).toEqual({
      level: 'error',
      message:
        'Not finished at shutdown, and lost as no onUnfinished of WorkerModule took them: ' +
        '6 items (mail: mail:0, mail:1, mail:2 and 2 more; import: import:0)',
      fields: { count: 6, types: ['mail', 'import'], itemIds: items.map(({ id }) => id) },
    });
  });

  test('has no more than 1,000 ids in a line', () => {
    const items = named('mail', 1_001) as unknown as WorkerProcessEvents['unfinished']['items'];
    const { fields } = lineFor('unfinished', { items });
    expect(fields.count).toBe(1_001);
    expect(fields.itemIds).toEqual(items.slice(0, 1_000).map(({ id }) => id));
  });

  test('is told of dead letters as well', () => {
    const letters = named('mail', 1) as unknown as WorkerProcessEvents['deadLettersLeft']['letters'];
    expect(lineFor('deadLettersLeft', { letters })).toEqual({
      level: 'error',
      message:
        'Left at shutdown, and lost as no onDeadLetters of WorkerModule took them: 1 dead letter (mail: mail:0)',
      fields: { count: 1, types: ['mail'], itemIds: ['mail:0'] },
    });
  });
});

describe('outcomes of redriven rows that could not be written', () => {
  test.each([
    [[7], 'Upload u1: what became of 1 redriven row could not be written: no such mailbox'],
    [[7, 9], 'Upload u1: what became of 2 redriven rows could not be written: no such mailbox'],
    [[], 'Upload u1: its status could not be written: no such mailbox'],
  ])('are named by their rows: %j', (rows, message) => {
    expect(lineFor('outcomesNotWritten', { uploadId: 'u1', rows, error })).toEqual({
      level: 'error',
      message,
      fields: { uploadId: 'u1', count: rows.length, rows, err: error },
    });
  });

  test('have no more than 1,000 numbers in a line', () => {
    const rows = Array.from({ length: 1_001 }, (_, index) => index + 1);
    const { fields } = lineFor('outcomesNotWritten', { uploadId: 'u1', rows, error });
    expect(fields).toMatchObject({ count: 1_001, rows: rows.slice(0, 1_000) });
  });
});

test('a store in trouble is told of, and what was lost by that', () => {
  expect(lineFor('engineTroubled', { error })).toEqual({
    level: 'error',
    message: 'The store of the engine is in trouble, and is tried again: no such mailbox',
    fields: { err: error },
  });
  const lost =
    'mail: lost 3 items that it had leased; they run again elsewhere, and what it did for them does not count';
  expect(lineFor('leaseLost', { type: 'mail', items: 3, unheardMs: undefined })).toMatchObject({
    level: 'warn',
    message: lost,
  });
  expect(lineFor('leaseLost', { type: 'mail', items: 3, unheardMs: 5_200.4 })).toMatchObject({
    level: 'warn',
    message: `${lost}. No sign of life for 5200 ms: does a handler block the event loop?`,
  });
});

test('a callback that failed is named', () => {
  expect(lineFor('callbackFailed', { event: 'onUnfinished', error })).toEqual({
    level: 'error',
    message: 'The callback onUnfinished failed: no such mailbox',
    fields: { event: 'onUnfinished', err: error },
  });
});

const quiet = {
  type: 'quiet',
  itemsPerSecond: 0,
  waiting: 0,
  running: 0,
  delayed: 0,
  submitted: 0,
  completed: 0,
  dead: 0,
  cancelled: 0,
  handedBack: 0,
  returned: 0,
  failedAttempts: 0,
};
const busy = {
  ...quiet,
  type: 'mail',
  itemsPerSecond: 2.04,
  workers: 1,
  completed: 12,
  deadLetters: 1,
  meanAttemptMs: 3,
};

describe('ReportLogger', () => {
  test('asks for what was done since its own last report, and writes a line for each type that did something', () => {
    const asked: (PerformanceReport | undefined)[] = [];
    const reports: PerformanceReport[] = [];
    const jobs = {
      reportPerformance: (since?: PerformanceReport) => {
        asked.push(since);
        const completed = busy.completed + reports.length;
        const types = [{ ...busy, completed }, quiet];
        const report = { intervalMs: 100, types } as unknown as PerformanceReport;
        reports.push(report);
        return report;
      },
    };
    const { log, lines } = recordingLog();
    const reporting = new ReportLogger(jobs, log);
    reporting.write();
    reporting.write();
    new ReportLogger(jobs, log).write();
    expect(asked).toEqual([undefined, reports[0], undefined]);
    expect(asked[1]).toBe(reports[0]);
    expect(lines).toHaveLength(3);
    expect(lines[0]).toEqual({
      level: 'info',
      message:
        'mail: 2.0 items/s by 1 worker, 3.00 ms an attempt; 12 completed, 0 waiting, 0 delayed, 1 dead letter',
      fields: { ...busy, intervalMs: 100 },
    });
  });
});
