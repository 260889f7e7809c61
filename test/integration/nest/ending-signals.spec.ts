import { describe, expect, test } from '@jest/globals';
import { startTypescriptProgram } from '../../support/typescript-program.js';
import { closeAtEnd } from './applications.js';
import { mayBeFirstProcess, startAsFirstProcess } from './first-process.js';
import type { Closing, Ending } from './shutdown.program.js';

const PROGRAM = new URL('shutdown.program.ts', import.meta.url);
const LOGGING_PROGRAM = new URL('logged-shutdown.program.ts', import.meta.url);
/** What a shell reports for a process that SIGTERM or SIGINT ended. */
const BY_SIGTERM = 143;
const BY_SIGINT = 130;

function start(closing: Closing, ending: Ending) {
  const program = startTypescriptProgram(PROGRAM, [closing, ending]);
  closeAtEnd(() => program.kill());
  return program;
}

async function expectWorkFinished(program: { nextLine(): Promise<string | undefined> }): Promise<void> {
  expect(await program.nextLine()).toBe('item 1 ends, connection open');
  expect(await program.nextLine()).toBe('item 2 starts');
  expect(await program.nextLine()).toBe('item 2 ends, connection open');
  expect(await program.nextLine()).toBe('connection closes');
}

/** As a person does who presses the keys again and again. */
async function signalUntilEnded(program: ReturnType<typeof start>, signal: NodeJS.Signals): Promise<void> {
  const timer = setInterval(() => program.signalGroup(signal), 50);
  await program.ended;
  clearInterval(timer);
}

describe('closeWithWorkers', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)(
    'finishes the work at %s while connections that close in onModuleDestroy are open, and ends by the signal',
    async (signal) => {
      const program = start('with workers', 'finishes');
      expect(await program.nextLine()).toBe('item 1 starts');
      program.signalGroup(signal);
      await expectWorkFinished(program);
      expect(await program.ended).toEqual({ code: null, signal });
    },
  );

  test('takes the same signal again at once for the first, as a terminal and npm both send it', async () => {
    const program = start('with workers', 'is signalled again');
    expect(await program.nextLine()).toBe('item 1 starts');
    program.signalGroup('SIGTERM');
    await expectWorkFinished(program);
    expect(await program.ended).toEqual({ code: null, signal: 'SIGTERM' });
  });

  test('ends at once when the same signal comes again and again', async () => {
    const program = start('with workers', 'hangs');
    expect(await program.nextLine()).toBe('item 1 starts');
    await signalUntilEnded(program, 'SIGTERM');
    expect(await program.ended).toEqual({ code: null, signal: 'SIGTERM' });
  });

  test.each(['hangs', 'blocks'] as const)(
    'ends at once at a second signal, while a handler %s',
    async (ending) => {
      const program = start('with workers', ending);
      expect(await program.nextLine()).toBe('item 1 starts');
      program.signalGroup('SIGTERM');
      expect(await program.nextLine()).toBe(`item 1 ${ending}`);
      program.signalGroup('SIGINT');
      expect(await program.ended).toEqual({ code: null, signal: 'SIGINT' });
    },
  );

  test('ends at once at a second signal that comes in the moment of the first', async () => {
    const program = start('with workers at two signals', 'hangs');
    expect(await program.nextLine()).toBe('item 1 starts');
    program.signalGroup('SIGTERM');
    expect(await program.ended).toEqual({ code: BY_SIGINT, signal: null });
  });

  test('exits with 1 when the application could not be closed in order, and says why', async () => {
    const program = start('with workers', 'fails');
    expect(await program.nextLine()).toBe('item 1 starts');
    program.signalGroup('SIGTERM');
    expect(await program.nextLine()).toBe('item 1 ends, connection open');
    expect(await program.nextLine()).toBe('item 2 starts');
    expect(await program.nextLine()).toBe('item 2 ends, connection open');
    await expect(program.nextLine()).rejects.toThrow(
      'The application could not be closed in order: Error: what was done could not be written down',
    );
    expect(await program.ended).toEqual({ code: 1, signal: null });
  });

  test('ends when a log that another thread writes has its last line', async () => {
    const program = startTypescriptProgram(LOGGING_PROGRAM);
    closeAtEnd(() => program.kill());
    expect(await program.nextLine()).toBe('listens');
    program.signalGroup('SIGTERM');
    expect(JSON.parse(await program.nextLine())).toMatchObject({
      msg: expect.stringMatching(/^Shutdown begins/),
    });
    expect(JSON.parse(await program.nextLine())).toMatchObject({
      msg: expect.stringMatching(/^Shutdown ended/),
    });
    expect(await program.ended).toEqual({ code: null, signal: 'SIGTERM' });
  });

  test('does so as well when shutdown hooks are enabled after it', async () => {
    const program = start('with workers, then by hooks', 'finishes');
    expect(await program.nextLine()).toBe('item 1 starts');
    program.signalGroup('SIGTERM');
    await expectWorkFinished(program);
    expect(await program.ended).toEqual({ code: null, signal: 'SIGTERM' });
  });

  test('is needed for that: with enableShutdownHooks such a connection is gone first', async () => {
    const program = start('by hooks', 'finishes');
    expect(await program.nextLine()).toBe('item 1 starts');
    program.signalGroup('SIGTERM');
    expect(await program.nextLine()).toBe('connection closes');
    expect(await program.nextLine()).toBe('item 1 ends, connection closed');
    expect(await program.nextLine()).toBe('item 2 starts');
    expect(await program.nextLine()).toBe('item 2 ends, connection closed');
    expect(await program.ended).toEqual({ code: null, signal: 'SIGTERM' });
  });
});

describe('closeWithWorkers where something else listens to the signal', () => {
  test('ends the process all the same, with the exit code for the signal, and tells it once', async () => {
    const program = start('with workers and a listener', 'finishes');
    expect(await program.nextLine()).toBe('item 1 starts');
    program.signalGroup('SIGTERM');
    expect(await program.nextLine()).toBe('listener is told of SIGTERM');
    await expectWorkFinished(program);
    await expect(program.nextLine()).rejects.toThrow('but it ended');
    expect(await program.ended).toEqual({ code: BY_SIGTERM, signal: null });
  });

  test('ends at once at a second signal', async () => {
    const program = start('with workers and a listener', 'hangs');
    expect(await program.nextLine()).toBe('item 1 starts');
    program.signalGroup('SIGTERM');
    expect(await program.nextLine()).toBe('listener is told of SIGTERM');
    expect(await program.nextLine()).toBe('item 1 hangs');
    await signalUntilEnded(program, 'SIGTERM');
    expect(await program.ended).toEqual({ code: BY_SIGTERM, signal: null });
  });
});

/** The program with two applications, when both work. */
async function startTwo(ending: Ending, closing: Closing = 'with workers twice') {
  const program = start(closing, ending);
  expect(await program.nextLine()).toBe('other item starts');
  expect(await program.nextLine()).toBe('item 1 starts');
  return program;
}

describe('closeWithWorkers in two applications of one process', () => {
  test('ends the process when the last one has closed', async () => {
    const program = await startTwo('finishes');
    program.signalGroup('SIGTERM');
    await expectWorkFinished(program);
    expect(await program.nextLine()).toBe('other item ends');
    expect(await program.ended).toEqual({ code: null, signal: 'SIGTERM' });
  });

  test('exits with 1 then when one of them could not be closed in order', async () => {
    const program = await startTwo('fails');
    program.signalGroup('SIGTERM');
    expect(await program.nextLine()).toBe('item 1 ends, connection open');
    expect(await program.nextLine()).toBe('item 2 starts');
    expect(await program.nextLine()).toBe('item 2 ends, connection open');
    expect(await program.nextLine()).toBe('other item ends');
    expect(await program.ended).toEqual({ code: 1, signal: null });
  });

  test.each(['hangs', 'blocks'] as const)(
    'ends at once at a second signal, while a handler %s',
    async (ending) => {
      const program = await startTwo(ending);
      program.signalGroup('SIGTERM');
      expect(await program.nextLine()).toBe(`item 1 ${ending}`);
      program.signalGroup('SIGINT');
      expect(await program.ended).toEqual({ code: null, signal: 'SIGINT' });
    },
  );

  test('ends at once at a signal of the first one, when the last one does not end at it', async () => {
    const program = await startTwo('hangs', 'with workers twice, the last one at SIGTERM only');
    program.signalGroup('SIGTERM');
    expect(await program.nextLine()).toBe('item 1 hangs');
    program.signalGroup('SIGINT');
    expect(await program.nextLine()).toBe('listener is told of SIGINT');
    expect(await program.ended).toEqual({ code: BY_SIGINT, signal: null });
  });

  test('ends the last one as well at a signal that only the first one listens to', async () => {
    const program = await startTwo('finishes', 'with workers twice, the last one at SIGINT only');
    program.signalGroup('SIGTERM');
    await expectWorkFinished(program);
    expect(await program.nextLine()).toBe('other item ends');
    expect(await program.ended).toEqual({ code: null, signal: 'SIGTERM' });
  });

  test('lets one finish that is made when the process ends already', async () => {
    const program = start('with workers twice, the last one made at the end', 'finishes');
    expect(await program.nextLine()).toBe('item 1 starts');
    program.signalGroup('SIGTERM');
    expect(await program.nextLine()).toBe('other item starts');
    await expectWorkFinished(program);
    expect(await program.nextLine()).toBe('other item ends');
    expect(await program.ended).toEqual({ code: null, signal: 'SIGTERM' });
  });

  test('waits for one without WorkerModule, and ends the process then', async () => {
    const program = start('with workers beside a slow application without them', 'finishes');
    expect(await program.nextLine()).toBe('item 1 starts');
    program.signalGroup('SIGTERM');
    await expectWorkFinished(program);
    expect(await program.nextLine()).toBe('plain application closes');
    expect(await program.ended).toEqual({ code: null, signal: 'SIGTERM' });
  });

  test('leaves one alone that was closed before', async () => {
    const program = start('with workers beside an application that has closed', 'finishes');
    expect(await program.nextLine()).toBe('closed application closes');
    expect(await program.nextLine()).toBe('item 1 starts');
    program.signalGroup('SIGTERM');
    await expectWorkFinished(program);
    await expect(program.nextLine()).rejects.toThrow('but it ended');
    expect(await program.ended).toEqual({ code: null, signal: 'SIGTERM' });
  });
});

function startFirst(ending: Ending) {
  const program = startAsFirstProcess(PROGRAM, ['with workers', ending]);
  closeAtEnd(() => program.kill());
  return program;
}

// The kernel spares the first process of a container the signals that it does not listen to.
const suite = mayBeFirstProcess ? describe : describe.skip;
const why = mayBeFirstProcess ? '' : ' (skipped: `unshare --pid` is not permitted here)';
suite(`closeWithWorkers in the first process of a container${why}`, () => {
  test('finishes the work, and exits with the code for the signal', async () => {
    const program = startFirst('finishes');
    expect(await program.nextLine()).toBe('item 1 starts');
    program.signalGroup('SIGTERM');
    await expectWorkFinished(program);
    expect(await program.ended).toEqual([BY_SIGTERM, null]);
  });

  test('ends at once at a second signal', async () => {
    const program = startFirst('hangs');
    expect(await program.nextLine()).toBe('item 1 starts');
    program.signalGroup('SIGTERM');
    expect(await program.nextLine()).toBe('item 1 hangs');
    program.signalGroup('SIGINT');
    expect(await program.ended).toEqual([BY_SIGINT, null]);
  });
});
