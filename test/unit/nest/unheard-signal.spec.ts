import { expect, jest, test } from '@jest/globals';
import { endAtSignals } from '../../../src/nest/process-end.js';

const listeners = () => process.listenerCount('SIGTERM');
const end = () => Promise.resolve();
const refused = () => endAtSignals({ signals: ['SIGTERM', 'SIGKILL'], end });

test('an application that names a signal which nobody can listen to is not named, and disturbs no other', () => {
  const before = listeners();
  const on = refuseSigkill();
  try {
    expect(refused).toThrow('EINVAL');
    expect(listeners()).toBe(before);

    const hasEnded = endAtSignals({ signals: ['SIGTERM'], end });
    expect(refused).toThrow('EINVAL');
    expect(listeners()).toBe(before + 1);
    // One that had been named all the same would keep the signal listened to.
    hasEnded();
    expect(listeners()).toBe(before);
  } finally {
    on.mockRestore();
  }
});

/** As Node does, but not in a test, whose `process` is a copy. */
function refuseSigkill() {
  const listen = process.on.bind(process) as (event: string | symbol, listener: () => void) => typeof process;
  return jest.spyOn(process, 'on').mockImplementation((event: string | symbol, listener: () => void) => {
    if (event === 'SIGKILL') throw new Error('uv_signal_start EINVAL');
    return listen(event, listener);
  });
}
