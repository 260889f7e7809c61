/* oxlint-disable unicorn/no-thenable -- a payload may be one */
import { describe, expect, it, jest } from '@jest/globals';
import { runInNewContext } from 'node:vm';
import { systemClock } from '../../../src/core/clock.js';
import { describe as describeValue } from '../../../src/core/describe.js';
import {
  InvalidOptionsError,
  InvalidWorkerError,
  NonErrorThrownError,
  QueueFullError,
  UnknownWorkerTypeError,
} from '../../../src/core/errors.js';
import {
  resolveProcessOptions,
  resolveTypeOptions,
  type WorkerProcessOptionsInput,
} from '../../../src/core/options.js';
import { thresholdScaling } from '../../../src/core/scaling-policy.js';
import { toError } from '../../../src/core/to-error.js';
import { Worker } from '../../../src/core/worker.js';
import { resolveDefinition } from '../../../src/core/worker-definition.js';
import { WorkerProcess } from '../../../src/core/worker-process.js';

function problemsOf(act: () => unknown): readonly string[] {
  try {
    act();
  } catch (error) {
    if (error instanceof InvalidOptionsError) return error.problems;
    throw error;
  }
  return [];
}

const processProblems = (options: object | null) =>
  problemsOf(() => resolveProcessOptions(options as WorkerProcessOptionsInput));
const typeProblems = (options: object | null, process: WorkerProcessOptionsInput = {}) =>
  problemsOf(() => resolveTypeOptions('mail', options as object, resolveProcessOptions(process)));

describe('options', () => {
  const wrong: [name: string, value: unknown, problem: string][] = [
    ['maxConcurrency', 0, 'expected a whole number of 1 or more, got 0'],
    ['maxConcurrency', Infinity, 'expected a whole number of 1 or more, got Infinity'],
    ['minWorkers', -1, 'expected a whole number of 0 or more, got -1'],
    ['scalingThreshold', 2.5, 'expected a whole number of 1 or more, got 2.5'],
    ['scaleDownDelayMs', -1, 'expected milliseconds from 0 to 2147483647, got -1'],
    ['scalingPolicy', 'linear', 'expected a function, got "linear"'],
    ['maxQueueSize', '100', 'expected a whole number of 1 or more, got "100"'],
    ['maxWaitingProducers', null, 'expected a whole number of 1 or more, got null'],
    ['batchSize', NaN, 'expected a whole number of 1 or more, got NaN'],
    ['timeoutMs', '30s', 'expected milliseconds from 0 to 2147483647, got "30s"'],
    ['idleTimeoutMs', 10n, 'expected milliseconds from 0 to 2147483647, got 10n'],
    ['maxDeadLetters', 0, 'expected a whole number of 1 or more, got 0'],
    ['maxAbandoned', {}, 'expected a whole number of 0 or more, got an object'],
  ];

  it.each(wrong)('names a wrong %s (%p), what was expected and what came', (name, value, problem) => {
    expect(typeProblems({ [name]: value })).toEqual([`${name}: ${problem}`]);
    expect(processProblems({ [name]: value })).toEqual([`${name}: ${problem}`]);
  });

  it.each([
    ['shutdownTimeoutMs', Infinity, 'expected milliseconds from 0 to 2147483647, got Infinity'],
    ['abortGraceMs', [], 'expected milliseconds from 0 to 2147483647, got an array of 0'],
    ['drainOnShutdown', 'yes', 'expected true or false, got "yes"'],
    ['autoStart', 1, 'expected true or false, got 1'],
    ['onUnfinished', new Map(), 'expected a function, got a Map'],
    ['onDeadLetters', 'log', 'expected a function, got "log"'],
    ['clock', 5, 'expected a Clock (it lacks now, wallNow, setTimer, afterInput), got 5'],
    ['clock', { now: () => 0 }, 'expected a Clock (it lacks wallNow, setTimer, afterInput), got an object'],
    ['shutdownTimeoutMs', 2 ** 31, 'expected milliseconds from 0 to 2147483647, got 2147483648'],
    ['random', 0.5, 'expected a function, got 0.5'],
  ])('names a wrong %s of a process', (name, value, problem) => {
    expect(processProblems({ [name]: value })).toEqual([`${name}: ${problem}`]);
    expect(typeProblems({ [name]: value })[0]).toContain(`${name}: unknown option; expected one of`);
  });

  it('names what is wrong with retry by its path', () => {
    const retry = {
      limit: -1,
      backoffMs: '1s',
      factor: 0.5,
      maxBackoffMs: NaN,
      jitter: 2,
      retryable: true,
      x: 1,
    };
    const problems = [
      'retry.limit: expected a whole number of 0 or more, got -1',
      'retry.backoffMs: expected milliseconds from 0 to 2147483647, got "1s"',
      'retry.factor: expected a number of 1 or more, got 0.5',
      'retry.maxBackoffMs: expected milliseconds from 0 to 2147483647, got NaN',
      'retry.jitter: expected a number from 0 to 1, got 2',
      'retry.retryable: expected a function, got true',
      expect.stringMatching(/^retry\.x: unknown option; expected one of limit, /),
    ];
    expect(typeProblems({ retry })).toEqual(problems);
    expect(processProblems({ retry })).toEqual(problems);
    expect(typeProblems({ retry: 3 })).toEqual(['retry: expected an object, got 3']);
    expect(processProblems({ retry: null })).toEqual(['retry: expected an object, got null']);
  });

  it('tells of all wrong options in one message, with the subject', () => {
    const error = new InvalidOptionsError('Worker type "mail"', typeProblems({ batchSize: 0, tiemoutMs: 5 }));
    expect(error.message).toMatch(
      /^Worker type "mail": 2 wrong options: batchSize: expected .*, got 0; tiemoutMs: unknown option; .*timeoutMs/,
    );
    expect(processProblems({ ['__proto__x']: 1, constructor: 2 })).toHaveLength(2);
  });

  it('refuses options that are no object at all', () => {
    expect(processProblems(null)).toEqual(['options: expected an object, got null']);
    expect(processProblems([])).toEqual(['options: expected an object, got an array of 0']);
  });

  it('checks minWorkers against the limit that is in force', () => {
    expect(processProblems({ minWorkers: 11 })).toEqual([
      'minWorkers: expected at most maxConcurrency (10), got 11',
    ]);
    expect(processProblems({ minWorkers: 3, maxConcurrency: 2 })).toHaveLength(1);
    expect(typeProblems({ maxConcurrency: 2 }, { minWorkers: 3 })).toEqual([
      'minWorkers: expected at most maxConcurrency (2), got 3',
    ]);
    expect(typeProblems({ minWorkers: 4, maxConcurrency: 50 }, { maxConcurrency: 3 })).toEqual([
      'minWorkers: expected at most maxConcurrency (3), got 4',
    ]);
  });

  it('refuses a first delay above the longest one where both are given, and raises the default', () => {
    const retry = { backoffMs: 120_000, maxBackoffMs: 60_000 };
    const problem = 'retry.backoffMs: expected at most retry.maxBackoffMs (60000), got 120000';
    expect(processProblems({ retry })).toEqual([problem]);
    expect(typeProblems({ retry })).toEqual([problem]);
    expect(typeProblems({ retry: { backoffMs: 120_000 } }, { retry: { maxBackoffMs: 60_000 } })).toEqual([
      problem,
    ]);
    const process = resolveProcessOptions({});
    const { retry: raised } = resolveTypeOptions('type', { retry: { backoffMs: 120_000 } }, process);
    expect(raised).toMatchObject({ backoffMs: 120_000, maxBackoffMs: 120_000 });
    expect(resolveTypeOptions('type', {}, process).retry).toMatchObject({ maxBackoffMs: 60_000 });
  });

  it('refuses more workers to be kept than there may be over all types', async () => {
    const process = new WorkerProcess({ maxConcurrency: 4 });
    process.register('one', { processItem: () => undefined, minWorkers: 3 });
    expect(() => process.register('two', { processItem: () => undefined, minWorkers: 2 })).toThrow(
      'Worker type "two": minWorkers: expected at most 1, as other types keep 3 of the 4 workers (maxConcurrency), got 2',
    );
    expect(process.types).toEqual(['one']);
    process.register('two', { processItem: () => undefined, minWorkers: 1 });
    await process.shutdown();
  });

  it('takes what the type says, else what the process says, else the documented default', () => {
    const process = resolveProcessOptions({
      batchSize: 7,
      timeoutMs: undefined,
      retry: { limit: 9, jitter: 0 },
    });
    const options = resolveTypeOptions(
      'mail',
      { retry: { limit: 1 }, batchSize: undefined, maxConcurrency: 99 },
      process,
    );
    expect(options).toEqual({
      maxConcurrency: 10,
      minWorkers: 0,
      scalingThreshold: 10,
      scaleDownDelayMs: 1_000,
      scalingPolicy: thresholdScaling,
      maxQueueSize: 100_000,
      priorities: false,
      rateLimit: undefined,
      maxWaitingProducers: 10_000,
      batchSize: 7,
      timeoutMs: 60_000,
      idleTimeoutMs: 10_000,
      retry: {
        limit: 1,
        backoffMs: 1_000,
        factor: 2,
        maxBackoffMs: 60_000,
        jitter: 0,
        retryable: expect.any(Function),
      },
      maxDeadLetters: 10_000,
      maxAbandoned: 10,
    });
    expect(resolveTypeOptions('mail', { maxConcurrency: 4 }, process).maxAbandoned).toBe(4);
  });

  it('freezes what it resolved, and is not changed by what the user does to the input afterwards', () => {
    const retry = { limit: 5 };
    const input = { batchSize: 7, retry };
    const process = resolveProcessOptions(input);
    input.batchSize = 8;
    retry.limit = 6;
    const options = resolveTypeOptions('mail', {}, process);
    expect(options.batchSize).toBe(7);
    expect(options.retry.limit).toBe(5);
    for (const frozen of [process, process.typeDefaults, options, options.retry]) {
      expect(Object.isFrozen(frozen)).toBe(true);
    }
  });
});

describe('resolveDefinition', () => {
  class Mailer extends Worker<string> {
    override processItem(): void {}
  }
  class Nothing extends Worker {}
  class Both extends Worker {
    override processItem(): void {}
    override processBatch(): void {}
  }

  it('tells how the worker works, and makes a fresh instance each time', () => {
    const { source, options } = resolveDefinition('mail', { worker: Mailer, batchSize: 5 });
    expect(source.mode).toBe('item');
    expect(options).toEqual({ batchSize: 5 });
    const first = source.create();
    expect(first).toBeInstanceOf(Mailer);
    expect(source.create()).not.toBe(first);
    expect(resolveDefinition('mail', { processBatch: () => undefined }).source.mode).toBe('batch');
  });

  it.each([
    ['neither handler', { worker: Nothing }, /got neither$/],
    ['both handlers', { worker: Both }, /got both; a worker works one way$/],
    ['no handler function', {}, /got none$/],
    [
      'both handler functions',
      { processItem: () => 0, processBatch: () => 0 },
      /got processItem and processBatch$/,
    ],
    [
      'a class of its own kind',
      { worker: class Mine {} },
      /a class that extends Worker, got the class Mine$/,
    ],
    ['an instance', { worker: new Mailer() }, /a class that extends Worker, got a Mailer$/],
    ['null', { worker: null }, /a class that extends Worker, got null$/],
    [
      'a create that is no function',
      { worker: Mailer, create: 5 },
      /expected create to be a function, got 5$/,
    ],
  ])('refuses %s', (_, definition, message) => {
    const act = () => resolveDefinition('mail', definition as never);
    expect(act).toThrow(InvalidWorkerError);
    expect(act).toThrow(message);
    expect(act).toThrow(/^Worker of type "mail": /);
  });
});

describe('toError', () => {
  it('leaves errors as they are, those of another realm as well', () => {
    const error = Object.freeze(new TypeError('no'));
    const foreign = runInNewContext('new Error("far")') as Error;
    expect(toError(error)).toBe(error);
    expect(toError(foreign)).toBe(foreign);
  });

  it('makes an error of anything else, which carries it and says what it was', () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    const thrown = [
      undefined,
      null,
      'text',
      5n,
      Symbol('s'),
      { then: 1 },
      Object.create(null),
      [1],
      proxy,
      () => 0,
    ];
    const errors = thrown.map((value) => toError(value));
    expect(errors.map(({ message }) => message.replace('Expected an Error to be thrown, got ', ''))).toEqual([
      'undefined',
      'null',
      '"text"',
      '5n',
      'Symbol(s)',
      'an object',
      'an object',
      'an array of 1',
      'an object',
      'a function',
    ]);
    errors.forEach((error, index) => {
      expect(error).toBeInstanceOf(NonErrorThrownError);
      expect((error as NonErrorThrownError).thrown === thrown[index]).toBe(true);
    });
  });
});

describe('a value in a message', () => {
  it('is named even when it is a function that can not be looked at', () => {
    const hostile = new Proxy(() => undefined, {
      get: () => {
        throw new Error('no');
      },
    });
    const unnamed = Object.defineProperty(() => undefined, 'name', { value: Symbol('not a text') });
    expect([describeValue(hostile), describeValue(unnamed)]).toEqual(['a function', 'a function']);
    expect([class Mail {}, class {}].map(describeValue)).toEqual(['the class Mail', 'a class']);
  });

  it('shows control characters in place of sending them to the terminal', () => {
    expect(describeValue('\u009b31m\u007f\n')).toBe(String.raw`"\u009b31m\u007f\n"`);
  });
});

describe('errors', () => {
  it('carry a stable code, their own name and what they are about', () => {
    const full = new QueueFullError('mail', '2 producers wait');
    expect(full).toMatchObject({ name: 'QueueFullError', code: 'QUEUE_FULL', type: 'mail' });
    expect(full.message).toBe('Work queue of "mail" is full: 2 producers wait');
    expect(new UnknownWorkerTypeError('x', ['a', 'b']).message).toBe(
      'Unknown worker type "x"; known types: a, b',
    );
    expect(new UnknownWorkerTypeError(undefined, []).message).toBe(
      'Unknown worker type undefined; none is registered',
    );
  });

  it('describe a value shortly, even one that fights back', () => {
    const hostile = {
      get constructor(): never {
        throw new Error('no');
      },
    };
    expect(describeValue('x'.repeat(500))).toHaveLength(62);
    expect(describeValue(Object.create(hostile))).toBe('an object');
    expect(describeValue(new Date(0))).toBe('a Date');
  });
});

describe('systemClock', () => {
  it('takes a timer back, keeps time, and cuts a delay that Node would turn into none', () => {
    const spy = jest.spyOn(globalThis, 'setTimeout');
    try {
      const timer = systemClock.setTimer(() => undefined, 1e12);
      expect(spy).toHaveBeenCalledWith(expect.any(Function), 2 ** 31 - 1);
      timer.keepAlive(false);
      const timeout = spy.mock.results[0]!.value as NodeJS.Timeout;
      expect(timeout.hasRef()).toBe(false);
      timer.keepAlive(true);
      expect(timeout.hasRef()).toBe(true);
      timer.cancel();
    } finally {
      spy.mockRestore();
    }
    const before = systemClock.now();
    expect(systemClock.now()).toBeGreaterThanOrEqual(before);
    expect(Math.abs(systemClock.wallNow() - Date.now())).toBeLessThan(10_000);
  });
});
