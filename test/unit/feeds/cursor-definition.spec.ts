import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  InvalidOptionsError,
  JobProcess,
  type CursorJobDefinition,
  type CursorSource,
} from '../../../src/index.js';

const source = { fetchPage: () => Promise.resolve({ items: [], next: undefined }) };
const valid: CursorJobDefinition = { name: 'daily', type: 'quotes', pageSize: 1, source };

let jobs: JobProcess;
beforeEach(() => {
  jobs = new JobProcess({});
  jobs.register('quotes', { processItem: () => undefined });
});
afterEach(() => jobs.shutdown());

/** As a caller without types may write it. */
const register = (changes: object) => () => jobs.registerCursorJob({ ...valid, ...changes });

describe('registerCursorJob refuses', () => {
  test.each<[object, string]>([
    [{ pageSize: 0 }, 'pageSize: expected a whole number of 1 or more, got 0'],
    [{ callTimeoutMs: '5 s' }, 'callTimeoutMs: expected milliseconds from 0 to 2147483647, got "5 s"'],
    [{ source: {} }, 'source: expected a CursorSource (it lacks fetchPage), got an object'],
    [{ source: undefined }, 'source: expected a CursorSource (it lacks fetchPage), got undefined'],
    [
      { cron: '* * * * *' },
      'cron: unknown option; expected one of name, pageSize, callTimeoutMs, type, source',
    ],
  ])('%j', (changes, problem) => {
    expect(register(changes)).toThrow(new InvalidOptionsError('Cursor job "daily"', [problem]));
    expect(jobs.cursorJobs).toEqual([]);
  });

  test('a job without a name', () => {
    const problem = 'name: expected a text that is not empty, got';
    expect(register({ name: undefined })).toThrow(
      new InvalidOptionsError('Cursor job undefined', [`${problem} undefined`]),
    );
    expect(register({ name: '' })).toThrow(new InvalidOptionsError('Cursor job ""', [`${problem} ""`]));
  });

  test('and names all that is wrong', () => {
    expect(register({ name: 5, pageSize: -1, source: 'x' })).toThrow(
      'Cursor job 5: 3 wrong options: name: expected a text that is not empty, got 5; pageSize: expected',
    );
  });
});

test('registerCursorJob takes a job without a time limit for its calls', () => {
  jobs.registerCursorJob({ ...valid, callTimeoutMs: undefined });
  expect(jobs.cursorJobs).toEqual(['daily']);
});

test('registerCursorJob asks for pages of 500 items when nothing else is said', async () => {
  const limits: number[] = [];
  const fetchPage: CursorSource['fetchPage'] = (_, limit) => {
    limits.push(limit);
    return Promise.resolve({ items: [], next: undefined });
  };
  jobs.registerCursorJob({ name: 'daily', type: 'quotes', source: { fetchPage } });
  await jobs.processCursorData('daily').completed;
  expect(limits).toEqual([500]);
});
