import { expect, jest, test } from '@jest/globals';
import { turnOver } from '../../../src/nest/ending-signals.js';
import { endAtSignals } from '../../../src/nest/process-end.js';
import { deferred } from '../../support/deferred.js';

/** Others that listen to the signal have that long. */
const MOMENT_MS = 100;
const BY_SIGTERM = 143;

// Alone in its file: a process ends once.
test('the process waits for an application that is named in the moment before it ends', async () => {
  jest.useFakeTimers({ doNotFake: ['setImmediate'] });
  const exit = jest.spyOn(process, 'exit').mockImplementation((() => undefined) as () => never);
  // Where nobody else listens there is no such moment.
  process.on('SIGTERM', ignore);
  try {
    const rest = deferred();
    const early = { signals: ['SIGTERM'], end: () => Promise.resolve() } as const;
    const late = { signals: ['SIGTERM'], end: jest.fn(() => rest.promise) } as const;
    endAtSignals(early);
    process.emit('SIGTERM', 'SIGTERM');
    await turnOver();
    await jest.advanceTimersByTimeAsync(MOMENT_MS / 2);
    endAtSignals(late);
    await turnOver();
    expect(late.end).toHaveBeenCalledTimes(1);
    await jest.advanceTimersByTimeAsync(MOMENT_MS);
    expect(exit).not.toHaveBeenCalled();

    rest.resolve();
    await turnOver();
    await jest.advanceTimersByTimeAsync(MOMENT_MS);
    expect(exit.mock.calls).toEqual([[BY_SIGTERM]]);
  } finally {
    process.off('SIGTERM', ignore);
    exit.mockRestore();
    jest.useRealTimers();
  }
});

function ignore(): void {}
