import { afterEach, describe, expect, test } from '@jest/globals';
import {
  Injectable,
  Logger,
  type LoggerService,
  type ModuleMetadata,
  type OnModuleInit,
} from '@nestjs/common';
import { LoggerModule } from 'nestjs-pino';
import { Writable } from 'node:stream';
import {
  CursorJob,
  JobProcess,
  Worker,
  WorkerModule,
  WorkerType,
  type CursorSource,
  type WorkerModuleOptions,
} from '../../../src/index.js';
import { closeAtEnd, compileApplication, gate, nextEvent, startApplication } from './applications.js';

@WorkerType('mail', { retry: { limit: 1, backoffMs: 0 }, scalingThreshold: 2 })
class MailWorker extends Worker<string> {
  override processItem(address: string) {
    if (address.startsWith('bad')) throw new Error('no such mailbox');
  }
}

@CursorJob({ name: 'digest', worker: 'mail' })
class Digest implements CursorSource {
  fetchPage(): Promise<never> {
    return Promise.reject(new Error('source is down'));
  }
}

type Line = Record<string, unknown> & {
  readonly level: number;
  readonly msg: string;
  readonly context?: string;
};

/** What nestjs-pino writes. It keeps the stream of the first application in a process for all. */
const lines: Line[] = [];
const waiting = new Set<(line: Line) => void>();
const stream = new Writable({
  write(chunk: Buffer, _encoding, done) {
    const line = JSON.parse(chunk.toString()) as Line;
    lines.push(line);
    for (const look of waiting) look(line);
    done();
  },
});

function nextLine(matches: (line: Line) => boolean): Promise<Line> {
  return new Promise((resolve) => {
    const look = (line: Line) => {
      if (!matches(line)) return;
      waiting.delete(look);
      resolve(line);
    };
    waiting.add(look);
  });
}

async function withPino(options: WorkerModuleOptions, metadata: ModuleMetadata = {}) {
  lines.length = 0;
  const app = await startApplication({
    ...metadata,
    imports: [
      WorkerModule.forRoot(options),
      LoggerModule.forRoot({ pinoHttp: [{ level: 'debug' }, stream] }),
    ],
    providers: [MailWorker, ...(metadata.providers ?? [])],
  });
  return { app, jobs: app.get(JobProcess) };
}

const LOST = 'Not finished at shutdown, and lost as no onUnfinished of WorkerModule took them:';

describe('with nestjs-pino', () => {
  test('scaling, retries and dead letters are lines with fields; successes and payloads are not', async () => {
    const { jobs } = await withPino({ reportIntervalMs: 0 });
    const job = await jobs.distributeWork('mail', [
      'good@example.org',
      'bad@example.org',
      'fine@example.org',
      'ok@example.org',
    ]);
    await job.completed;
    const ours = lines.filter(({ context }) => context === 'WorkerModule');
    expect(ours.filter(({ from }) => from === 0)).toEqual([
      expect.objectContaining({
        level: 30,
        msg: 'mail: 0 → 2 workers (queue-size, 4 items)',
        type: 'mail',
        from: 0,
        to: 2,
        reason: 'queue-size',
        queueSize: 4,
      }),
    ]);
    const itemId = `${job.id}:1`;
    expect(ours.filter(({ level }) => level === 40)).toEqual([
      expect.objectContaining({
        type: 'mail',
        itemId,
        attempt: 1,
        delayMs: 0,
        msg: `mail: attempt 1 of item ${itemId} failed, next in 0 ms: no such mailbox`,
      }),
    ]);
    expect(ours.filter(({ level }) => level === 50)).toEqual([
      expect.objectContaining({
        type: 'mail',
        itemId,
        reason: 'attempts-exhausted',
        attempts: 2,
        msg: `mail: item ${itemId} is a dead letter (attempts-exhausted, 2 attempts): no such mailbox`,
        err: expect.objectContaining({
          message: 'no such mailbox',
          stack: expect.stringContaining('processItem'),
        }),
      }),
    ]);
    expect(ours.filter((line) => JSON.stringify(line).includes('processItem'))).toHaveLength(1);
    // What is left tells of the workers; idle ones that come and go are for debugging.
    const others = ours.filter(({ level, from }) => level !== 40 && level !== 50 && from !== 0);
    expect(others.every(({ from, to }) => typeof from === 'number' && typeof to === 'number')).toBe(true);
    expect(JSON.stringify(ours)).not.toContain('example.org');
  });

  test('types that did something are reported, and no others, at the interval that was asked for', async () => {
    @WorkerType('idle')
    class IdleWorker extends Worker {
      override processItem() {}
    }
    const { jobs } = await withPino({ reportIntervalMs: 20 }, { providers: [IdleWorker] });
    const reported = nextLine(({ intervalMs, completed }) => intervalMs !== undefined && completed === 3);
    await jobs.distributeWork('mail', ['a', 'b', 'c']);
    expect(await reported).toMatchObject({
      level: 30,
      context: 'WorkerModule',
      type: 'mail',
      completed: 3,
      waiting: 0,
      deadLetters: 0,
      itemsPerSecond: expect.any(Number),
      msg: expect.stringMatching(
        /^mail: [\d.]+ items\/s by \d workers?\b.*; 3 completed, 0 waiting, 0 delayed, 0 dead letters$/,
      ),
    });
    expect(lines.filter(({ type }) => type === 'idle')).toEqual([]);
  });

  test('a type whose items all died is reported, with its dead letters', async () => {
    const { jobs } = await withPino({ reportIntervalMs: 20 });
    const reported = nextLine(({ intervalMs, dead }) => intervalMs !== undefined && dead === 2);
    void jobs.pause('mail');
    await jobs.distributeWork('mail', ['bad', 'bad']);
    void jobs.resume('mail');
    expect(await reported).toMatchObject({ completed: 0, dead: 2 });
  });

  test('feeds, pauses, listeners that fail and what a shutdown could not finish are told of', async () => {
    const held = gate();
    closeAtEnd(async () => held.open());
    @WorkerType('slow')
    class SlowWorker extends Worker {
      override processItem() {
        return held.opened;
      }
    }
    const { app, jobs } = await withPino(
      { reportIntervalMs: 0, shutdownTimeoutMs: 0, abortGraceMs: 0 },
      { providers: [Digest, SlowWorker] },
    );
    const ended = nextEvent(app, 'cursorRunEnded');
    const run = jobs.processCursorData('digest', 'cron');
    jobs.processCursorData('digest');
    await run.completed;
    await ended;
    void jobs.pause('mail');
    void jobs.resume('mail');
    jobs.on('paused', () => {
      throw new Error('listener is broken');
    });
    void jobs.pause('mail');
    const scaled = nextEvent(app, 'scaled');
    const slow = await jobs.distributeWork('slow', ['secret', 'secret']);
    await scaled;
    await app.close();
    const told = lines.filter(({ context, from }) => context === 'WorkerModule' && from === undefined);
    expect(told.map(({ level, msg }) => [level, msg])).toEqual([
      [40, 'Cursor job digest still runs; its manual trigger was skipped'],
      [50, 'Cursor job digest (cron) failed: 0 pages, 0 items, 0 failed: source is down'],
      [30, 'mail: paused: as asked'],
      [30, 'mail: resumed'],
      [30, 'mail: paused: as asked'],
      [50, 'The callback paused failed: listener is broken'],
      [30, 'Shutdown begins: 1 running, 1 waiting, 0 delayed; at most 0 ms to finish'],
      [50, `${LOST} 2 items (slow: ${slow.id}:0, ${slow.id}:1)`],
      [
        30,
        expect.stringMatching(
          /^Shutdown ended after \d+ ms; since it began: 0 completed, 0 new dead letters, 2 handed back$/,
        ),
      ],
    ]);
    expect(told.slice(-3)).toMatchObject([
      { running: 1, waiting: 1, delayed: 0, shutdownTimeoutMs: 0 },
      { count: 2, types: ['slow'], itemIds: [`${slow.id}:0`, `${slow.id}:1`] },
      { durationMs: expect.any(Number), completed: 0, dead: 0, handedBack: 2 },
    ]);
    expect(JSON.stringify(lines)).not.toContain('secret');
  });
});

/** What a shutdown writes of the one item that was submitted. */
const lostLines = (itemId: string) => [
  'Shutdown begins: 0 running, 1 waiting, 0 delayed; at most 20000 ms to finish',
  `${LOST} 1 item (mail: ${itemId})`,
  expect.stringMatching(/^Shutdown ended .* 1 handed back$/),
];
const ours = () => lines.filter(({ context }) => context === 'WorkerModule').map(({ msg }) => msg);
const workersWithPino = () => [
  WorkerModule.forRoot({ reportIntervalMs: 0 }),
  LoggerModule.forRoot({ pinoHttp: [{ level: 'debug' }, stream] }),
];

describe('a shutdown before the application has started', () => {
  test('tells of what is lost, without a start', async () => {
    lines.length = 0;
    const app = await compileApplication({ imports: workersWithPino(), providers: [MailWorker] });
    const job = await app.get(JobProcess).distributeWork('mail', ['a']);
    await app.close();
    expect(ours()).toEqual(lostLines(`${job.id}:0`));
  });

  test('tells of it after a start that failed before the workers were there', async () => {
    lines.length = 0;
    let jobId = '';
    @Injectable()
    class Failing implements OnModuleInit {
      constructor(private readonly jobs: JobProcess) {}
      async onModuleInit() {
        ({ id: jobId } = await this.jobs.distributeWork('mail', ['a']));
        throw new Error('no database');
      }
    }
    const app = await compileApplication({ imports: workersWithPino(), providers: [MailWorker, Failing] });
    await expect(app.init()).rejects.toThrow('no database');
    await app.close();
    expect(ours()).toEqual(lostLines(`${jobId}:0`));
  });
});

/** What each shutdown writes. */
const SHUTDOWN = [
  'log Shutdown begins: 0 running, 0 waiting, 0 delayed; at most 20000 ms to finish',
  expect.stringMatching(
    /^log Shutdown ended after \d+ ms; since it began: 0 completed, 0 new dead letters, 0 handed back$/,
  ),
];

async function linesOf(act: (jobs: JobProcess) => Promise<void>, stacks: string[] = []): Promise<string[]> {
  const written: string[] = [];
  const write =
    (level: string) =>
    (message: unknown, ...rest: unknown[]) => {
      if (rest.at(-1) !== 'WorkerModule') return;
      written.push(`${level} ${String(message)}`);
      if (rest.length > 1 && typeof rest[0] === 'string') stacks.push(`${level} ${rest[0]}`);
    };
  const logger: LoggerService = {
    log: write('log'),
    error: write('error'),
    warn: write('warn'),
    debug: write('debug'),
  };
  const app = await startApplication(
    { imports: [WorkerModule.forRoot({ reportIntervalMs: 0 })], providers: [MailWorker] },
    (builder) => builder.setLogger(logger),
  );
  await act(app.get(JobProcess));
  await app.close();
  return written;
}

describe("with Nest's own logger", () => {
  const before = process.env.NODE_ENV;
  afterEach(() => {
    process.env.NODE_ENV = before;
    Logger.overrideLogger(['fatal']);
  });

  test('the same texts are written, and the stack of the dead letter', async () => {
    const stacks: string[] = [];
    const told = await linesOf(async (jobs) => {
      await (
        await jobs.distributeWork('mail', ['bad'])
      ).completed;
    }, stacks);
    expect(stacks).toEqual([expect.stringMatching(/^error Error: no such mailbox\n.*processItem/)]);
    expect(told.filter((line) => !line.startsWith('debug'))).toEqual([
      'log mail: 0 → 1 worker (queue-size, 1 item)',
      expect.stringMatching(/^warn mail: attempt 1 of item .* failed, next in 0 ms: no such mailbox$/),
      expect.stringMatching(
        /^error mail: item .* is a dead letter \(attempts-exhausted, 2 attempts\): no such mailbox$/,
      ),
      SHUTDOWN[0],
      expect.stringMatching(/^error Left at shutdown, and lost .*: 1 dead letter \(mail: .*:0\)$/),
      SHUTDOWN[1],
    ]);
  });

  test('production is told that work is kept in memory only', async () => {
    process.env.NODE_ENV = 'production';
    expect(await linesOf(() => Promise.resolve())).toEqual([
      'warn Work is kept in memory: what waits or runs is lost when the process is killed',
      ...SHUTDOWN,
    ]);
    process.env.NODE_ENV = 'development';
    expect(await linesOf(() => Promise.resolve())).toEqual(SHUTDOWN);
  });
});
