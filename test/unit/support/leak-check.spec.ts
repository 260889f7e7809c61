import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import timersPromises from 'node:timers/promises';
import { promisify } from 'node:util';
import { LeakCheck } from '../../support/leak-check.js';

let timers: { setTimeout: typeof setTimeout; setInterval: typeof setInterval };
let check: LeakCheck;

beforeEach(() => {
  timers = { setTimeout, setInterval };
  check = new LeakCheck(timers);
});

afterEach(() => check.stop());

test('lets what is due at the next turn come first', async () => {
  let came = false;
  setImmediate(() => (came = true));

  await check.findLeaks();

  expect(came).toBe(true);
});

describe('finds', () => {
  test('a timeout, with the place that made it', async () => {
    const timeout = timers.setTimeout(() => {}, 60_000);

    expect(await check.findLeaks()).toEqual([
      expect.stringMatching(/^A timer \(setTimeout\) is pending[^]*leak-check\.spec\.ts/),
    ]);

    clearTimeout(timeout);
    expect(await check.findLeaks()).toEqual([]);
  });

  test('an interval, even an unreferenced one', async () => {
    const interval = timers.setInterval(() => {}, 60_000).unref();

    expect(await check.findLeaks()).toEqual([expect.stringContaining('A timer (setInterval) is pending')]);

    clearInterval(interval);
    expect(await check.findLeaks()).toEqual([]);
  });

  test('a promise that waits for a timer', async () => {
    const end = new AbortController();
    const wait = timersPromises.setTimeout(60_000, undefined, end);

    expect(await check.findLeaks()).toEqual([expect.stringContaining('setTimeout of node:timers/promises')]);

    end.abort();
    await expect(wait).rejects.toThrow('aborted');
    expect(await check.findLeaks()).toEqual([]);
  });

  test('a server and both ends of a connection', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const client = connect(port, '127.0.0.1');
    const [accepted] = await once(server, 'connection');

    const leaks = await check.findLeaks();

    expect(leaks).toHaveLength(3);
    expect(leaks).toContainEqual(expect.stringMatching(new RegExp(`^A server listens on .*"port":${port}`)));
    expect(leaks).toContainEqual(expect.stringContaining(`to 127.0.0.1:${port}`));
    expect(leaks).toContainEqual(expect.stringContaining(`from port ${port} to`));

    client.destroy();
    accepted.destroy();
    server.close();
    expect(await check.findLeaks()).toEqual([]);
  });

  test('a child process', async () => {
    const child = spawn(process.execPath, ['-e', 'process.stdin.resume()'], {
      stdio: ['pipe', 'ignore', 'ignore'],
    });

    const leaks = await check.findLeaks();

    expect(leaks).toContainEqual(expect.stringContaining(`(process ${child.pid})`));

    child.kill();
    await once(child, 'close');
    expect(await check.findLeaks()).toEqual([]);
  });
});

describe('does not report', () => {
  test('timers that have fired or were cleared', async () => {
    const cleared = timers.setTimeout(() => {}, 60_000);
    clearTimeout(cleared);
    await new Promise<void>((resolve) => timers.setTimeout(resolve, 1));
    await timersPromises.setTimeout(1);

    expect(await check.findLeaks()).toEqual([]);
  });

  test('what is being closed', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    server.close();

    expect(await check.findLeaks()).toEqual([]);
  });

  test('fake timers', async () => {
    jest.useFakeTimers();
    setTimeout(() => {}, 60_000);
    jest.useRealTimers();

    expect(await check.findLeaks()).toEqual([]);
  });
});

test('leaves the timers as they are for their users', async () => {
  expect(await promisify(timers.setTimeout)(1, 'value')).toBe('value');
  expect(await timersPromises.setTimeout(1, 'value')).toBe('value');

  const { setTimeout: watched } = timers;
  check.stop();
  expect(timers.setTimeout).not.toBe(watched);
});
