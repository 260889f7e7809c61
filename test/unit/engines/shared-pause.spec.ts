import { describe, expect, test } from '@jest/globals';
import { SharedPause } from '../../../src/engines/durable/shared-pause.js';
import type { SharedPauseReason, SharedState } from '../../../src/engines/durable/type-state.js';
import { deferred } from '../../support/deferred.js';

/** A worker type as this process sees it, and what the store answers to a change, which the test decides. */
function pauseOfType() {
  const paused = new Set<string>();
  const workload = {
    pause: (reason: string) => void paused.add(reason),
    resume: (reason: string) => void paused.delete(reason),
  };
  const store = { answer: (): Promise<void> => Promise.resolve() };
  const state = { addPauseReason: () => store.answer(), removePauseReason: () => store.answer() };
  return { paused, store, pause: new SharedPause(workload, state) };
}

const sharedState = (...pauseReasons: SharedPauseReason[]): SharedState => ({
  pauseReasons,
  replicas: 1,
  isOrdered: false,
});

describe('a pause that all processes share', () => {
  test('takes over what others have said', async () => {
    const { paused, pause } = pauseOfType();
    await pause.takeOver(async () => sharedState('requested', 'dead-letters-full'));
    expect([...paused]).toEqual(['requested', 'dead-letters-full']);
    await pause.takeOver(async () => sharedState('dead-letters-full'));
    expect([...paused]).toEqual(['dead-letters-full']);
    await pause.takeOver(async () => sharedState());
    expect([...paused]).toEqual([]);
  });

  test('does not take over what was read before this process paused', async () => {
    const { paused, pause } = pauseOfType();
    await pause.takeOver(async () => {
      await pause.pause('requested');
      return sharedState();
    });
    expect([...paused]).toEqual(['requested']);
  });

  test('does not take over what was read while this process resumed', async () => {
    const { paused, pause, store } = pauseOfType();
    await pause.pause('requested');
    const answer = deferred();
    store.answer = () => answer.promise;
    const resuming = pause.resume('requested');
    await pause.takeOver(async () => {
      answer.resolve();
      await resuming;
      return sharedState('requested');
    });
    expect([...paused]).toEqual([]);
  });

  test('takes over again what is read after a change that failed', async () => {
    const { paused, pause, store } = pauseOfType();
    store.answer = () => Promise.reject(new Error('away'));
    await expect(pause.pause('requested')).rejects.toThrow('away');
    expect([...paused]).toEqual(['requested']);
    await pause.takeOver(async () => sharedState());
    expect([...paused]).toEqual([]);
  });
});
