import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { endBy, exitAtNext, leaveMoment, type NextSignals } from '../../../src/nest/ending-signals.js';

const SAME_PRESS_MS = 500;
const MOMENT_MS = 100;
const BY_SIGTERM = 143;
const BY_SIGINT = 130;

describe('exitAtNext, where others listen as well', () => {
  let exit: jest.SpiedFunction<typeof process.exit>;
  let next: NextSignals;

  beforeEach(() => {
    jest.useFakeTimers();
    exit = jest.spyOn(process, 'exit').mockImplementation((() => undefined) as () => never);
    // With nobody else there, the signal would end the process by itself after a while, and with it the tests.
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, ignore);
    next = exitAtNext(['SIGTERM', 'SIGINT'], 'SIGTERM');
    next.leaveToSystem();
  });
  afterEach(() => {
    next.stop();
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.off(signal, ignore);
    exit.mockRestore();
    jest.useRealTimers();
  });

  test('takes the same signal for the first one for half a second, and not after that', () => {
    jest.advanceTimersByTime(SAME_PRESS_MS - 1);
    process.emit('SIGTERM', 'SIGTERM');
    expect(exit).not.toHaveBeenCalled();
    jest.advanceTimersByTime(1);
    process.emit('SIGTERM', 'SIGTERM');
    expect(exit.mock.calls).toEqual([[BY_SIGTERM]]);
  });

  test('exits at another signal at once', () => {
    process.emit('SIGINT', 'SIGINT');
    expect(exit.mock.calls).toEqual([[BY_SIGINT]]);
  });

  test('listens no more when it is stopped, and waits for nothing', () => {
    next.stop();
    jest.advanceTimersByTime(SAME_PRESS_MS);
    process.emit('SIGTERM', 'SIGTERM');
    process.emit('SIGINT', 'SIGINT');
    expect(exit).not.toHaveBeenCalled();
    expect(jest.getTimerCount()).toBe(0);
  });
});

describe('leaveMoment', () => {
  let next: NextSignals;

  beforeEach(() => {
    jest.useFakeTimers();
    next = exitAtNext(['SIGTERM', 'SIGINT'], 'SIGTERM');
  });
  afterEach(() => {
    next.stop();
    process.off('SIGTERM', ignore);
    jest.useRealTimers();
  });

  test('gives others that listen to the signal a moment', async () => {
    process.on('SIGTERM', ignore);
    const over = jest.fn();
    const leaving = leaveMoment('SIGTERM').then(over);
    await jest.advanceTimersByTimeAsync(MOMENT_MS - 1);
    expect(over).not.toHaveBeenCalled();
    await jest.advanceTimersByTimeAsync(1);
    expect(over).toHaveBeenCalledTimes(1);
    await leaving;
  });

  test('waits for nothing where only we listen', async () => {
    await leaveMoment('SIGTERM');
    await leaveMoment('SIGINT');
    expect(process.listenerCount('SIGTERM')).toBe(1);
  });
});

test('endBy exits by the code for the signal where others listen to it', () => {
  const exit = jest.spyOn(process, 'exit').mockImplementation((() => undefined) as () => never);
  const atExit = process.listenerCount('exit');
  process.on('SIGTERM', ignore);
  try {
    endBy('SIGTERM');
    expect(exit.mock.calls).toEqual([[BY_SIGTERM]]);
    expect(process.listenerCount('exit')).toBe(atExit);
  } finally {
    process.off('SIGTERM', ignore);
    exit.mockRestore();
  }
});

function ignore(): void {}
