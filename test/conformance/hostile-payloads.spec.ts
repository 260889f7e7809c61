import { describe, expect, it } from '@jest/globals';
import { InvalidPayloadError, ItemTooLargeError } from '../../src/bullmq.js';
import { UnrecoverableError } from '../../src/index.js';
import { engines, processesOn, redis } from './engines.js';
import { Seen } from './seen.js';

const MEGABYTE = 1_000_000;

const PAYLOADS: readonly (readonly [string, unknown])[] = [
  ['null', null],
  ['false', false],
  ['true', true],
  ['0', 0],
  ['a large number', Number.MAX_SAFE_INTEGER],
  ['a small number', -1.5e-300],
  ['an empty text', ''],
  ['a NUL', 'a\0b'],
  ['a text that is only NULs', '\0\0'],
  ['a lone high surrogate', '\ud800'],
  ['a lone low surrogate', 'x\udfff'],
  ['surrogates the wrong way round', '\udc00\ud800'],
  ['line separators', '\u2028\u2029\r\n'],
  ['characters beyond the plane', '𝒳😀'],
  ['quotes and backslashes', '"\\"\\\\"'],
  ['a text that looks like JSON', '{"v":1,"items":[]}'],
  ['an own __proto__', JSON.parse('{"__proto__":{"polluted":true},"constructor":1,"toString":2}')],
  ['an empty object', {}],
  ['an object with an empty key', { '': { ' ': null } }],
  ['an array within', { list: [[], [[]], [null, { a: [1, '2', false] }]] }],
  ['what a chunk is made of', { v: 1, of: [['job', 'x', 0, 1]], items: [1], heads: [{ a: 9, s: 1, u: 1 }] }],
  ['a megabyte of text', 'x'.repeat(MEGABYTE - 2)],
  ['many keys', Object.fromEntries(Array.from({ length: 5_000 }, (_, key) => [`key ${key}`, key]))],
];

function deep(levels: number): unknown {
  let value: unknown = 'bottom';
  for (let level = 0; level < levels; level++) value = level % 2 === 0 ? [value] : { value };
  return value;
}

function circle(): unknown {
  const round: { self?: unknown } = {};
  round.self = round;
  return round;
}

describe.each(engines)('payloads on $name', (engine) => {
  const processes = processesOn(engine);

  it.each(PAYLOADS)('come as they were: %s', async (_kind, payload) => {
    const process = processes.start();
    const seen = new Seen<unknown>();
    process.register('type', { processItem: (received: unknown) => seen.add(received) });
    const job = await process.distributeWork<unknown>('type', [payload]);
    expect(await job.completed).toMatchObject({ done: 1 });
    expect(seen.all).toStrictEqual([payload]);
    expect(JSON.stringify(seen.all[0])).toBe(JSON.stringify(payload));
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  it('come as they were, all in one job, through a retry and a dead letter', async () => {
    const process = processes.start({ retry: { limit: 1, backoffMs: 10 }, maxConcurrency: 1 });
    const seen = new Map<string, unknown>();
    process.register('type', {
      processItem: (payload: unknown, { id, attempt }) => {
        if (attempt === 1) throw new Error('again');
        seen.set(id, payload);
        throw new UnrecoverableError('dead');
      },
    });
    const payloads = PAYLOADS.map(([, payload]) => payload);
    const job = await process.distributeWork<unknown>('type', payloads);
    expect(await job.completed).toMatchObject({ failed: payloads.length });
    const letters = new Map((await process.deadLetters()).map((letter) => [letter.index, letter.payload]));
    for (const [index, payload] of payloads.entries()) {
      expect(seen.get(`${job.id}:${index}`)).toStrictEqual(payload);
      expect(letters.get(index)).toStrictEqual(payload);
    }
  });

  it('come as they were when they are single items', async () => {
    const process = processes.start();
    const seen = new Map<string, unknown>();
    const all = new Seen<string>();
    process.register('type', {
      processItem: (payload: unknown, { id }) => {
        seen.set(id, payload);
        all.add(id);
      },
    });
    const single = PAYLOADS.map(([, payload]) => payload).filter((payload) => !Array.isArray(payload));
    const jobs = await Promise.all(single.map((payload) => process.distributeWork<unknown>('type', payload)));
    await all.reach(single.length);
    for (const [place, { id }] of jobs.entries()) expect(seen.get(`${id}:0`)).toStrictEqual(single[place]);
    await process.waitForCompletion();
  });

  it('may be nested a thousand levels deep', async () => {
    const process = processes.start();
    const seen = new Seen<unknown>();
    process.register('type', { processItem: (received: unknown) => seen.add(received) });
    await process.distributeWork('type', [deep(1_000)]);
    const [received] = await seen.reach(1);
    expect(JSON.stringify(received)).toBe(JSON.stringify(deep(1_000)));
    await process.waitForCompletion();
  });

  it('may be errors with anything in them', async () => {
    const process = processes.start({ retry: { limit: 0 } });
    process.register('type', {
      processItem: (kind: number) => {
        if (kind === 0) throw Object.assign(new Error('\0\ud800'), { code: 5n, cause: circle() });
        if (kind === 1) throw Object.assign(new Error('x'.repeat(100_000)), { name: 7, stack: {} });
        if (kind === 2) throw undefined as unknown as Error;
        throw Object.defineProperty(new Error('hidden'), 'message', {
          get: () => {
            throw new Error('not readable');
          },
        });
      },
    });
    const job = await process.distributeWork('type', [0, 1, 2, 3]);
    expect(await job.completed).toMatchObject({ failed: 4 });
    const letters = await process.deadLetters();
    expect(letters).toHaveLength(4);
    for (const { error } of letters) expect(error).toBeInstanceOf(Error);
    const messageOf = (index: number) => letters.find((letter) => letter.index === index)!.error.message;
    expect(messageOf(0)).toBe('\0\ud800');
    expect(messageOf(1).slice(0, 1_000)).toBe('x'.repeat(1_000));
  });

  it('may have keys with anything in them', async () => {
    const process = processes.start();
    const seen = new Seen<string>();
    process.register('type', { processItem: (payload: string) => seen.add(payload) });
    await process.pause('type');
    const keys = ['a:b', 'a{b}', '\0', '😀', ' ', '__proto__', 'x'.repeat(10_000), 'a\nb', '*', '123'];
    const unique = await process.distributeWork('type', [...keys, ...keys], {
      uniqueKey: (key: string) => key,
    });
    const ordered = await process.distributeWork('type', keys, { orderKey: (key: string) => key });
    await process.resume('type');
    expect(await unique.completed).toMatchObject({ done: keys.length, duplicates: keys.length });
    expect(await ordered.completed).toMatchObject({ done: keys.length });
    expect(seen.all.toSorted()).toEqual([...keys, ...keys].toSorted());
  });

  it.each(['a:b', 'a{b}c', 'ä ö', '*', '__proto__', 'constructor', '../x', 'x'.repeat(200)])(
    'may be of a type named %j',
    async (type) => {
      const process = processes.start();
      const seen = new Seen<number>();
      process.register(type, { processItem: (payload: number) => seen.add(payload) });
      const job = await process.distributeWork(type, [1, 2]);
      expect(job.type).toBe(type);
      expect(await job.completed).toMatchObject({ done: 2 });
      expect(new Set(seen.all)).toEqual(new Set([1, 2]));
      expect(seen.all).toHaveLength(2);
    },
  );
});

describe('payloads that redis refuses', () => {
  const processes = processesOn(redis);

  it.each([
    ['a bigint', 1n, /bigint|1n/],
    ['a bigint within', { a: [{ b: 1n }] }, /a\.0\.b/],
    ['a circle', circle(), /contains itself/],
    ['a function', () => undefined, /function/],
    ['undefined', undefined, /undefined/],
    ['a symbol', Symbol('x'), /symbol/i],
    ['bytes', Buffer.from('x'), /Buffer|Uint8Array/],
    [
      'what can not be written',
      {
        toJSON: () => {
          throw new Error('no');
        },
      },
      /no/,
    ],
  ])('are refused by themselves: %s', async (_kind, payload, message) => {
    const process = processes.start();
    const seen = new Seen<unknown>();
    process.register('type', { processItem: (received: unknown) => seen.add(received) });
    const answers = await Promise.allSettled([
      process.distributeWork<unknown>('type', 'before'),
      // A function is an item as well, and undefined.
      process.distributeWork<unknown>('type', payload),
      process.distributeWork<unknown>('type', 'after'),
      process.distributeWork<unknown>('type', ['x', payload, 'y']),
      process.distributeWork<unknown>('type', ['in an array']),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
      'rejected',
      'fulfilled',
    ]);
    const [, alone, , within] = answers as PromiseRejectedResult[];
    for (const [answer, place] of [
      [alone, 0],
      [within, 1],
    ] as const) {
      expect(answer!.reason).toBeInstanceOf(InvalidPayloadError);
      expect(answer!.reason).toMatchObject({ code: 'INVALID_PAYLOAD', type: 'type', place });
      expect((answer!.reason as Error).message).toMatch(message);
    }
    await seen.reach(3);
    await process.waitForCompletion();
    expect(seen.all).toHaveLength(3);
    expect(new Set(seen.all)).toEqual(new Set(['after', 'before', 'in an array']));
  });

  it('are refused by themselves when they are too large', async () => {
    const process = processes.start();
    const seen = new Seen<unknown>();
    process.register('type', { processItem: (received: unknown) => seen.add(received) });
    const large = 'ä'.repeat(MEGABYTE / 2);
    const answers = await Promise.allSettled([
      process.distributeWork('type', large),
      process.distributeWork('type', 'small'),
      process.distributeWork('type', ['small', large]),
    ]);
    expect(answers.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected']);
    const [alone, , within] = answers as PromiseRejectedResult[];
    expect(alone!.reason).toBeInstanceOf(ItemTooLargeError);
    expect(alone!.reason).toMatchObject({ place: 0, bytes: MEGABYTE + 2, maxItemBytes: MEGABYTE });
    expect(within!.reason).toMatchObject({ place: 1 });
    expect(await seen.reach(1)).toEqual(['small']);
    await process.waitForCompletion();
  });

  it('end the job of a stream, after what came before', async () => {
    const process = processes.start();
    const seen = new Seen<unknown>();
    process.register('type', { processItem: (received: unknown) => seen.add(received) });
    const job = await process.distributeWork<unknown>('type', new Set<unknown>([1, 2, 3n, 4]));
    await seen.reach(2);
    await process.waitForCompletion();
    const result = await job.completed;
    expect(result).toMatchObject({ status: 'source-failed', total: 2, done: 2 });
    expect(result.error!.message).toMatch(/3n|bigint/);
    expect(seen.all).toEqual([1, 2]);
  });
});
