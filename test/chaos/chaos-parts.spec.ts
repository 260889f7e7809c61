import { once } from 'node:events';
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { promiseWithResolve } from '../../src/core/promise-with-resolve.js';
import { readChaosOptions } from './chaos-options.js';
import { Closing } from './closing.js';
import type { LedgerEntry, RunEntry, SubmissionEntry, TroubleEntry } from './ledger/entries.js';
import { LedgerReader } from './ledger/ledger-reader.js';
import { LedgerWriter } from './ledger/ledger-writer.js';
import { judge } from './ledger/verdict.js';
import { Progress } from './progress.js';
import { renderReport } from './report.js';
import { OwnRedis } from './servers/own-redis.js';
import { TroubleProxy } from './servers/trouble-proxy.js';

const closing = new Closing();
afterEach(() => closing.close());

describe('the ledger', () => {
  it('tells of each line that a process writes, as it comes', async () => {
    const folder = openFolder();
    const read: LedgerEntry[] = [];
    const grown = promiseWithResolve<void>();
    const reader = new LedgerReader(folder, (entries) => {
      read.push(...entries);
      if (read.length === 3) grown.resolve();
    });
    closing.add(() => reader.close());
    const writers = ['one', 'two'].map((name) => new LedgerWriter(folder, name));
    for (const writer of writers) closing.add(() => writer.close());
    writers[0]?.write(submitted(1, 'good/p/0'));
    writers[1]?.write(submitted(2, 'good/p/1'));
    writers[0]?.write(submitted(3, 'good/p/2'));
    await grown.promise;
    expect(read.map(({ atMs }) => atMs).toSorted((a, b) => a - b)).toEqual([1, 2, 3]);
  });

  it('reads a line once it is whole, and the rest of one that was cut off never', () => {
    const folder = openFolder();
    const read: LedgerEntry[] = [];
    const reader = new LedgerReader(folder, (entries) => read.push(...entries));
    closing.add(() => reader.close());
    const line = JSON.stringify(submitted(1, 'good/p/ä'));
    const file = path.join(folder, 'one.jsonl');
    appendFileSync(file, line.slice(0, 10));
    reader.readAll();
    expect(read).toEqual([]);
    appendFileSync(file, `${line.slice(10)}\n${line.slice(0, 5)}`);
    reader.readAll();
    reader.readAll();
    expect(read).toEqual([submitted(1, 'good/p/ä')]);
  });
});

describe('the verdict', () => {
  it('counts what became of the items, and names what is lost', () => {
    const verdict = judge(
      [
        submitted(1, 'good/p/0', 'good/p/1', 'good/p/2', 'fails-always/p/3', 'fails-always/p/4'),
        ...run('good/p/0', 'w1', 2),
        // Held by a process that has gone, and by nobody since.
        started('good/p/1', 'w1', 2),
        ...failures('fails-always/p/3', 3),
        dead('fails-always/p/3'),
        // Its attempts are used up, and no letter is there.
        ...failures('fails-always/p/4', 3),
      ],
      0,
    );
    expect(verdict).toMatchObject({ submitted: 5, completed: 1, dead: 1, runTwice: 0 });
    expect(verdict.lost).toEqual(['good/p/1', 'good/p/2', 'fails-always/p/4']);
  });

  it('does not ask for items whose submission failed and was not heard of again', () => {
    expect(judge([{ ...submitted(1, 'good/p/0'), kind: 'submission-failed' }], 0)).toMatchObject({
      submitted: 0,
      lost: [],
    });
  });

  it('counts as run twice what was started more often than its fate asks for', () => {
    const verdict = judge(
      [
        submitted(1, 'good/p/0', 'good/p/1', 'fails-once/p/2', 'fails-once/p/3'),
        ...run('good/p/0', 'w1', 2),
        ...run('good/p/0', 'w2', 3),
        started('good/p/1', 'w1', 2),
        ...run('good/p/1', 'w2', 3),
        ...failures('fails-once/p/2', 1),
        ...run('fails-once/p/2', 'w1', 3),
        ...failures('fails-once/p/3', 2),
        ...run('fails-once/p/3', 'w1', 3),
      ],
      0,
    );
    expect(verdict).toMatchObject({ completed: 4, runTwice: 3, completedTwice: 1 });
  });

  it('counts apart what runs twice because its producer had to submit it twice', () => {
    const verdict = judge(
      [
        { ...submitted(1, 'good/p/0'), kind: 'submission-failed' },
        submitted(2, 'good/p/0'),
        ...run('good/p/0', 'w1', 3),
        ...run('good/p/0', 'w1', 4),
      ],
      0,
    );
    expect(verdict).toMatchObject({ runTwice: 0, completedTwice: 0, runTwiceSubmittedTwice: 1 });
  });

  it('excuses a Redis that may lose its last second, for what was submitted in it', () => {
    const entries = [
      submitted(1_000, 'good/p/0'),
      submitted(2_500, 'good/p/1'),
      trouble('power-cut', 3_000),
      submitted(3_005, 'good/p/2'),
      trouble('redis-starts', 3_200),
      submitted(3_300, 'good/p/3'),
    ];
    expect(judge(entries, 2_000)).toMatchObject({
      lost: ['good/p/0', 'good/p/3'],
      lostByRedis: ['good/p/1', 'good/p/2'],
      redisKills: 1,
    });
    expect(judge(entries, 0)).toMatchObject({
      lost: [0, 1, 2, 3].map((n) => `good/p/${n}`),
      lostByRedis: [],
    });
  });

  it('names dead letters that nothing was wrong with', () => {
    const entries = [submitted(1, 'good/p/0', 'poison/p/1'), dead('good/p/0'), dead('poison/p/1')];
    expect(judge(entries, 0)).toMatchObject({ dead: 2, wronglyDead: ['good/p/0'], lost: [] });
  });

  it('measures from a kill until the last of the items that the worker held runs elsewhere', () => {
    const verdict = judge(
      [
        submitted(1, 'good/p/0', 'good/p/1', 'good/p/2', 'poison/p/3'),
        ...run('good/p/0', 'w1', 10),
        started('good/p/1', 'w1', 20),
        started('good/p/2', 'w1', 20),
        started('poison/p/3', 'w1', 20),
        trouble('worker-killed', 100, 'w1'),
        ...run('good/p/1', 'w2', 700),
        ...run('good/p/2', 'w3', 900),
        ...run('good/p/0', 'w3', 5_000),
        started('poison/p/3', 'w2', 9_000),
      ],
      0,
    );
    expect(verdict).toMatchObject({ workerKills: 1, longestRescueMs: 800 });
  });
});

describe('the report', () => {
  it('says which promise was broken, by the names of the items', () => {
    const verdict = judge([submitted(1, 'good/p/0', 'good/p/1'), ...run('good/p/1', 'w1', 2)], 0);
    const result = {
      ...verdict,
      name: 'some',
      flush: 'always',
      seed: 1,
      durationMs: 1,
      problems: [],
    } as const;
    expect(renderReport([result])).toMatch(/some +2 +1 +0 +1 .*BROKEN\n\nsome: 1 items lost: good\/p\/0$/);
  });
});

describe('progress', () => {
  it('is awaited until an answer is there, until nothing moves, or until the end of the run', async () => {
    const ending = new AbortController();
    const progress = new Progress(ending.signal);
    closing.add(() => progress.close());
    const ended = progress.until(() => progress.tally.hasEnded('good/p/0') || undefined, { quietMs: 60_000 });
    progress.add(run('good/p/0', 'w1', 1));
    expect(await ended).toBe(true);
    expect(await progress.until(() => undefined, { quietMs: 20 })).toBeUndefined();
    const endless = progress.until(() => undefined, { withinMs: 60_000 });
    ending.abort(new Error('the end'));
    await expect(endless).rejects.toThrow('the end');
  });
});

describe('the proxy', () => {
  it('lets everything through, and the end of a connection as well', async () => {
    const { client } = await openConnection();
    client.end('hello');
    const answer = Buffer.concat((await client.toArray()) as Buffer[]);
    expect(answer.toString()).toBe('hello');
  });

  it('cuts all connections', async () => {
    const { proxy, client } = await openConnection();
    client.write('hello');
    await once(client, 'data');
    const cut = once(client, 'error');
    expect(proxy.cutAll()).toBe(1);
    expect((await cut)[0]).toMatchObject({ code: 'ECONNRESET' });
  });

  it('holds back what goes through', async () => {
    const { proxy, client } = await openConnection();
    proxy.delayAll(50);
    const sentAtMs = performance.now();
    client.write('hello');
    await once(client, 'data');
    // There and back, less what timers are early by.
    expect(performance.now() - sentAtMs).toBeGreaterThan(95);
  });

  it('delivers half of a write to the server, then cuts', async () => {
    const { proxy, client, received } = await openConnection();
    client.on('error', () => undefined).resume();
    const halved = proxy.halveNext('to-server');
    client.write('12345678');
    await Promise.all([halved, once(client, 'close')]);
    expect(Buffer.concat(received).toString()).toBe('1234');
  });

  it('delivers half of a write to the client, then cuts', async () => {
    const { proxy, client, received } = await openConnection();
    const answer: Buffer[] = [];
    client.on('error', () => undefined).on('data', (bytes: Buffer) => answer.push(bytes));
    const halved = proxy.halveNext('to-client');
    client.write('12345678');
    await Promise.all([halved, once(client, 'close')]);
    expect(Buffer.concat(received).toString()).toBe('12345678');
    expect(Buffer.concat(answer).toString()).toBe('1234');
  });
});

describe('the Redis of a run', () => {
  it('has all that it has acknowledged after a kill -9', async () => {
    const redis = await OwnRedis.start('always');
    closing.add(() => redis.stop());
    await withClient(redis, async (client) => {
      for (let write = 1; write <= 100; write++) await client.incr('writes');
      await redis.kill();
    });
    await redis.startAgain();
    expect(await withClient(redis, (client) => client.get('writes'))).toBe('100');
  });

  it('has no more than its last second lost after a power cut, when it flushes each second', async () => {
    const redis = await OwnRedis.start('everysec');
    closing.add(() => redis.stop());
    const writtenAtMs: number[] = [];
    const lostBytes = await withClient(redis, async (client) => {
      const endMs = Date.now() + 2_000;
      while (Date.now() < endMs) {
        await client.rpush('writes', writtenAtMs.length);
        writtenAtMs.push(Date.now());
      }
      return redis.cutPower();
    });
    const cutAtMs = Date.now();
    await redis.startAgain();
    const kept = await withClient(redis, (client) => client.llen('writes'));
    expect(lostBytes).toBeGreaterThan(0);
    expect(kept).toBeLessThan(writtenAtMs.length);
    expect(cutAtMs - (writtenAtMs[kept] ?? 0)).toBeLessThan(2_000);
  });
});

describe('the options of the command', () => {
  it('have a short and a long form', () => {
    expect(readChaosOptions(['--quick', '--seed', '3'])).toMatchObject({ seed: 3, kills: 10, isQuick: true });
    expect(readChaosOptions(['--json', 'a.json'])).toMatchObject({ kills: 100, json: 'a.json' });
  });

  it('are refused when they are wrong', () => {
    expect(() => readChaosOptions(['--kills', '0'])).toThrow(
      '--kills: expected a whole number of 1 or more, got "0"',
    );
    expect(() => readChaosOptions(['--seed', 'x'])).toThrow('--seed: expected a whole number of 0 or more');
    expect(() => readChaosOptions(['--unknown'])).toThrow('--unknown');
  });
});

function submitted(atMs: number, ...items: string[]): SubmissionEntry {
  return { kind: 'submitted', items, atMs };
}

function started(item: string, worker: string, atMs: number): RunEntry {
  return { kind: 'started', item, worker, pid: 1, attempt: 1, atMs };
}

function run(item: string, worker: string, atMs: number): RunEntry[] {
  const start = started(item, worker, atMs);
  return [start, { ...start, kind: 'done' }];
}

function failures(item: string, count: number): RunEntry[] {
  const start = started(item, 'w1', 1);
  return Array.from({ length: count }, (): RunEntry[] => [start, { ...start, kind: 'failed' }]).flat();
}

function dead(item: string): LedgerEntry {
  return { kind: 'dead', item, reason: 'attempts-exhausted', atMs: 1 };
}

function trouble(name: TroubleEntry['trouble'], atMs: number, worker?: string): LedgerEntry {
  const entry = { kind: 'trouble', trouble: name, atMs } as const;
  return worker === undefined ? entry : { ...entry, worker };
}

function openFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'test-ledger-'));
  closing.add(() => rmSync(folder, { recursive: true }));
  return folder;
}

async function openConnection(): Promise<{ proxy: TroubleProxy; client: Socket; received: Buffer[] }> {
  const received: Buffer[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => undefined).on('data', (bytes: Buffer) => received.push(bytes));
    socket.pipe(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.add(() => once(server.close(), 'close'));
  const proxy = await TroubleProxy.start((server.address() as AddressInfo).port);
  closing.add(() => proxy.close());
  const client = connect(proxy.port, '127.0.0.1');
  closing.add(() => client.destroy());
  await once(client, 'connect');
  return { proxy, client, received };
}

async function withClient<T>(redis: OwnRedis, use: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(redis.url, { lazyConnect: true, retryStrategy: () => null });
  // Its server is killed while it is connected.
  client.on('error', () => undefined);
  const ended = once(client, 'end');
  await client.connect();
  try {
    return await use(client);
  } finally {
    client.quit().catch(() => undefined);
    await ended;
  }
}
