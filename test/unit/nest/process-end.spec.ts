import { expect, jest, test } from '@jest/globals';
import { turnOver } from '../../../src/nest/ending-signals.js';
import { endAtSignals } from '../../../src/nest/process-end.js';
import { deferred } from '../../support/deferred.js';

/** Others that listen to the signal have that long. */
const MOMENT_MS = 100;
const BY_SIGTERM = 143;

// Alone in its file: a process ends once.
test('the process waits for an application that tells that it has ended before all that it does has', async () => {
  jest.useFakeTimers({ doNotFake: ['setImmediate'] });
  const exit = jest.spyOn(process, 'exit').mockImplementation((() => undefined) as () => never);
  // Where nobody else listens, the process would end by the signal itself, and with it the tests.
  process.on('SIGTERM', ignore);
  try {
    const rest = deferred();
    const early = { signals: ['SIGTERM'], end: jest.fn(() => rest.promise) } as const;
    const other = { signals: ['SIGTERM'], end: jest.fn(() => Promise.resolve()) } as const;
    const hasEnded = endAtSignals(early);
    endAtSignals(other);
    process.emit('SIGTERM', 'SIGTERM');
    hasEnded();
    await turnOver();
    await turnOver();
    expect(other.end).toHaveBeenCalledTimes(1);
    await jest.advanceTimersByTimeAsync(MOMENT_MS);
    expect(exit).not.toHaveBeenCalled();

    rest.resolve();
    await turnOver();
    await jest.advanceTimersByTimeAsync(MOMENT_MS);
    expect(early.end).toHaveBeenCalledTimes(1);
    expect(exit.mock.calls).toEqual([[BY_SIGTERM]]);
  } finally {
    process.off('SIGTERM', ignore);
    exit.mockRestore();
    jest.useRealTimers();
  }
});

function ignore(): void {}
