import { expect, test } from '@jest/globals';
import { startOnFreePort } from '../../../../src/service/embedded-postgres/free-port.js';
import { ServerStartError } from '../../../../src/service/embedded-postgres/kept-server.js';

const taken = () => new ServerStartError('It ended.', 'could not bind: Address already in use');

test('tries another port when somebody else took the first', async () => {
  const ports: number[] = [];
  const start = async (port: number) => {
    ports.push(port);
    if (ports.length < 3) throw taken();
    return 'started';
  };

  expect(await startOnFreePort(start)).toBe('started');
  expect(ports).toHaveLength(3);
});

test('gives up when no port is ever free', async () => {
  await expect(startOnFreePort(() => Promise.reject(taken()))).rejects.toThrow('Address already in use');
});

test('does not try again after another failure', async () => {
  let attempts = 0;
  const start = async () => {
    attempts++;
    throw new ServerStartError('It ended.', 'No space left on device');
  };

  await expect(startOnFreePort(start)).rejects.toThrow('No space left on device');
  expect(attempts).toBe(1);
});
