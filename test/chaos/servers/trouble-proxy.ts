import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { promiseWithResolve } from '../../../src/core/promise-with-resolve.js';

export type Direction = 'to-server' | 'to-client';

/** Stands between a server and its clients, and makes trouble with their connections on command. */
export class TroubleProxy {
  private readonly listener: Server;
  private readonly connections = new Set<Connection>();
  private delayMs = 0;
  private awaitedWrite: { direction: Direction; halved: () => void } | undefined;

  private constructor(private readonly targetPort: number) {
    this.listener = createServer({ allowHalfOpen: true }, (client) => this.accept(client));
  }

  static async start(targetPort: number): Promise<TroubleProxy> {
    const proxy = new TroubleProxy(targetPort);
    proxy.listener.listen(0, '127.0.0.1');
    await once(proxy.listener, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.listener.address() as AddressInfo).port;
  }

  /** Cuts every connection, without a goodbye. @returns how many there were */
  cutAll(): number {
    const { size } = this.connections;
    for (const connection of this.connections) connection.cut();
    return size;
  }

  /** Holds back what goes through by so many milliseconds in each direction from now on. 0: not at all. */
  delayAll(delayMs: number): void {
    this.delayMs = delayMs;
  }

  /**
   * Lets only the first half of the next write in a direction through, of whatever connection, and cuts the connection.
   *
   * @returns when it has happened, or the proxy was closed
   */
  halveNext(direction: Direction): Promise<void> {
    const { promise, resolve } = promiseWithResolve<void>();
    this.awaitedWrite?.halved();
    this.awaitedWrite = { direction, halved: resolve };
    return promise;
  }

  async close(): Promise<void> {
    this.listener.close();
    this.awaitedWrite?.halved();
    this.cutAll();
    await once(this.listener, 'close');
  }

  private accept(client: Socket): void {
    const connection = new Connection(
      client,
      connect({ port: this.targetPort, host: '127.0.0.1', allowHalfOpen: true }),
      {
        delayMs: () => this.delayMs,
        // A write of one byte has no half.
        halves: (direction, bytes) => bytes > 1 && this.takeHalving(direction),
      },
    );
    this.connections.add(connection);
    void connection.ended.then(() => this.connections.delete(connection));
  }

  private takeHalving(direction: Direction): boolean {
    if (this.awaitedWrite?.direction !== direction) return false;
    this.awaitedWrite.halved();
    this.awaitedWrite = undefined;
    return true;
  }
}

/** What a connection asks at each write. */
interface ConnectionTrouble {
  delayMs(): number;
  halves(direction: Direction, bytes: number): boolean;
}

/** One client's way to the server and back. */
class Connection {
  readonly ended: Promise<unknown>;
  private readonly cutting = new AbortController();

  constructor(
    private readonly client: Socket,
    private readonly server: Socket,
    private readonly trouble: ConnectionTrouble,
  ) {
    for (const socket of [client, server]) socket.setNoDelay(true).on('error', () => this.cut());
    this.ended = Promise.all([
      this.relay(client, server, 'to-server'),
      this.relay(server, client, 'to-client'),
    ]);
  }

  cut(): void {
    this.cutting.abort();
    this.client.resetAndDestroy();
    this.server.resetAndDestroy();
  }

  private async relay(from: Socket, to: Socket, direction: Direction): Promise<void> {
    try {
      // The other direction of a connection may go on when one has ended.
      const writes = from.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
      for await (const bytes of writes) await this.pass(bytes, to, direction);
      to.end();
    } catch {
      // Cut, by us or by an end: either way nothing more can go through.
      this.cut();
    }
  }

  private async pass(bytes: Buffer, to: Socket, direction: Direction): Promise<void> {
    const delayMs = this.trouble.delayMs();
    const { signal } = this.cutting;
    if (delayMs > 0) await delay(delayMs, undefined, { signal });
    if (this.trouble.halves(direction, bytes.length)) {
      await write(to, bytes.subarray(0, bytes.length / 2));
      this.client.destroy();
      this.server.destroy();
      return;
    }
    if (!to.write(bytes)) await once(to, 'drain', { signal });
  }
}

function write(to: Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => to.write(bytes, (error) => (error ? reject(error) : resolve())));
}
