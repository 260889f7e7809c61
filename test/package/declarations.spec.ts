import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { APPLICATION, OLD_APPLICATION } from './applications.js';
import { NEEDED, packLibrary, type Application, type PackedLibrary } from './packed-library.js';
import { readDeclarations, type Declarations } from './read-declarations.js';

jest.setTimeout(120_000);

let packed: PackedLibrary;
/** An application in TypeScript. */
let application: Application;
let declarations: Declarations;

beforeAll(async () => {
  packed = await packLibrary();
  application = await packed.install('typescript', [
    ...NEEDED,
    'bullmq',
    'ioredis',
    'typeorm',
    'typescript',
    '@types/node',
  ]);
  await application.write('package.json', JSON.stringify({ type: 'module' }));
  declarations = readDeclarations(application);
});
afterAll(() => packed.remove());

const COMPILER_OPTIONS = {
  target: 'ES2023',
  module: 'nodenext',
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  experimentalDecorators: true,
  emitDecoratorMetadata: true,
  skipLibCheck: true,
  types: ['node'],
};

/** What the compiler finds wrong with the files of a project. */
async function compile(project: string, options: object, files: readonly string[]): Promise<string> {
  await application.write(
    project,
    JSON.stringify({ compilerOptions: { ...COMPILER_OPTIONS, ...options }, files }),
  );
  return application.compile(project);
}

/** The names that an entry point exports as types only. */
async function typeNames(entry: string): Promise<string[]> {
  const text = await readFile(path.join(application.library, 'dist', `${entry}.d.ts`), 'utf8');
  return [...text.matchAll(/export (type )?\{([^}]*)\}/g)]
    .flatMap(([, onlyTypes, list]) => list!.split(',').map((name) => (onlyTypes ?? '') + name.trim()))
    .filter((name) => /^(type )+\w/.test(name))
    .map((name) => name.replace(/^(type )+/, ''))
    .toSorted();
}

test('the names of types are those that are meant to be public', async () => {
  expect(await typeNames('index')).toEqual([
    'Acknowledge',
    'BatchContext',
    'Clock',
    'ClosingOptions',
    'CursorCache',
    'CursorCall',
    'CursorJobDefinition',
    'CursorJobOptions',
    'CursorJobSettings',
    'CursorRunProgress',
    'CursorRunResult',
    'CursorRunStatus',
    'CursorSource',
    'DeadLetter',
    'DeadLetterQuery',
    'DeadLetterSelection',
    'DeadReason',
    'Deliver',
    'EngineFactory',
    'EventName',
    'ItemContext',
    'ItemCount',
    'JobObserver',
    'JobProcessSetup',
    'JobProgress',
    'JobResult',
    'JobStatus',
    'LateWorkerOptions',
    'Listener',
    'MessageJobOptions',
    'MessageOptions',
    'MessageReceipt',
    'Outcome',
    'Page',
    'PauseReason',
    'PerformanceReport',
    'QueueDepth',
    'RedisCursorCacheOptions',
    'RedisForCursors',
    'RetryPolicy',
    'RowOutcome',
    'ScaleReason',
    'ScalingInput',
    'ScalingPolicy',
    'Source',
    'SubmitOptions',
    'Subscribe',
    'Timer',
    'ToItems',
    'Trigger',
    'TriggerCause',
    'TypePerformance',
    'UnfinishedItem',
    'Unsubscribe',
    'Upload',
    'UploadOptions',
    'UploadRow',
    'UploadRunProgress',
    'UploadRunResult',
    'UploadRunStatus',
    'UploadStatus',
    'UploadStore',
    'WorkCounts',
    'WorkerClass',
    'WorkerDefinition',
    'WorkerModuleOptions',
    'WorkerProcessEvents',
    'WorkerProcessOptionsInput',
    'WorkerTypeOptionsInput',
  ]);
  expect(await typeNames('typeorm')).toEqual(['UploadQuery', 'UploadRowState']);
  expect(await typeNames('bullmq')).toEqual(['RedisClusterAddress', 'RedisEngineOptions', 'WhenDown']);
});

describe('an application compiles', () => {
  test('with the types that it writes, in strict TypeScript', async () => {
    await application.write('app.ts', APPLICATION);
    expect(await compile('tsconfig.json', {}, ['app.ts'])).toBe('');
  });

  test('in the old way as well, as CommonJS', async () => {
    await application.write('old.ts', OLD_APPLICATION);
    const oldWay = { module: 'commonjs', moduleResolution: 'node10', ignoreDeprecations: '6.0' };
    expect(await compile('tsconfig.old.json', oldWay, ['old.ts'])).toBe('');
  });
});

test('every declaration is valid by itself', () => {
  expect(declarations.files.length).toBeGreaterThan(30);
  expect(declarations.problems()).toEqual([]);
});

/** Of WorkerProcess: it and JobProcess are extended, so all of their members are told, lest a subclass hides one unawares. */
const OF_PROCESS = [
  'adjustWorkerCount',
  'clock',
  'counts',
  'deadLetters',
  'depth',
  'discardDeadLetters',
  'distributeWork',
  'findJob',
  'findRisks',
  'isClosed',
  'isDurable',
  'offer',
  'on',
  'pause',
  'pool',
  'redriveDeadLetters',
  'register',
  'rejectItem',
  'reportPerformance',
  'requireType',
  'resume',
  'retryFailedItems',
  'retryFailedItemsOf',
  'shutdown',
  'start',
  'totalItemsProcessed',
  'types',
  'waitForCompletion',
];

test.each([
  [
    'Job',
    [
      'accepted',
      'cancel',
      'cancelled',
      'completed',
      'done',
      'duplicates',
      'failed',
      'handedBack',
      'id',
      'isCancelled',
      'isEnded',
      'isSealed',
      'open',
      'progress',
      'retryFailedItems',
      'toJSON',
      'type',
    ],
  ],
  [
    'WorkerPool',
    [
      'addWorker',
      'maxConcurrency',
      'removeWorker',
      'reportPerformance',
      'shutdown',
      'totalItemsProcessed',
      'workerCount',
    ],
  ],
  ['WorkerProcess', OF_PROCESS],
  [
    'JobProcess',
    [
      ...OF_PROCESS,
      'cursorCache',
      'cursorJobs',
      'openSubscription',
      'processCursorData',
      'processQueueMessages',
      'processUserUpload',
      'registerCursorJob',
      'waitForTrigger',
    ],
  ],
  ['WorkerFactory', ['create', 'register', 'types']],
  [
    'WorkerTypeDoor',
    [
      'counts',
      'deadLetters',
      'depth',
      'discardDeadLetters',
      'distributeWork',
      'offer',
      'pause',
      'redriveDeadLetters',
      'resume',
      'retryFailedItems',
      'toJSON',
      'type',
      'waitForCompletion',
    ],
  ],
  ['CursorRun', ['cancel', 'completed', 'interrupt', 'name', 'progress', 'toJSON']],
  ['UploadRun', ['cancel', 'completed', 'interrupt', 'progress', 'toJSON', 'upload']],
  ['MessageSubscription', ['close', 'deliver', 'open', 'toJSON', 'type']],
])('the public members of %s are these, and nothing of how it works', (name, members) => {
  expect(declarations.membersOf(name)).toEqual(members.toSorted());
});
