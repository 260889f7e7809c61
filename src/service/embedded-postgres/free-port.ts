import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { ServerStartError } from './kept-server.js';

const ATTEMPTS = 10;

/** Starts a server on a free port. Another process can take the port in between, so a taken one is no failure. */
export async function startOnFreePort<T>(start: (port: number) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(await freePort());
    } catch (error) {
      const portIsTaken =
        error instanceof ServerStartError &&
        /address already in use|port is already allocated/i.test(error.output);
      if (!portIsTaken || attempt === ATTEMPTS) throw error;
    }
  }
}

/** A port on which nobody listens, for servers that do not tell which one they took. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
