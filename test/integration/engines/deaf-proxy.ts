import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';

/** Stands between a client and a server, and can keep the server's answers back. */
export class DeafProxy {
  private isDeaf = false;
  /** Answers that wait; undefined: they are passed on. */
  private kept: (() => void)[] | undefined = undefined;
  /** Bytes of the next answer that are passed on before its connection is cut. */
  private bytesOfNext: number | undefined = undefined;
  private readonly sockets = new Set<Socket>();

  private constructor(private readonly server: Server) {}

  static async before(port: number): Promise<DeafProxy> {
    const proxy: DeafProxy = new DeafProxy(createServer((client) => proxy.join(client, port)));
    proxy.server.listen(0, '127.0.0.1');
    await once(proxy.server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** From now on the server hears the client, and the client does not hear the server. */
  dropAnswers(): void {
    this.isDeaf = true;
  }

  /** Keeps the server's answers back, until the returned function is called. */
  keepAnswers(): () => void {
    const kept: (() => void)[] = (this.kept = []);
    return () => {
      this.kept = undefined;
      for (const pass of kept) pass();
    };
  }

  /** Cuts the connection of the next answer in the middle of it. */
  cutNextAnswerAfter(bytes: number): void {
    this.bytesOfNext = bytes;
  }

  /** Cuts all connections; new ones are like before. */
  cut(): void {
    this.isDeaf = false;
    for (const socket of this.sockets) socket.destroy();
  }

  async close(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    this.cut();
    await closed;
  }

  private join(client: Socket, port: number): void {
    const server = connect(port, '127.0.0.1');
    client.on('data', (data) => server.write(data));
    server.on('data', (data) => {
      if (this.isDeaf) return;
      if (this.bytesOfNext !== undefined) {
        client.end(data.subarray(0, this.bytesOfNext));
        this.bytesOfNext = undefined;
        return;
      }
      if (this.kept === undefined) client.write(data);
      else this.kept.push(() => client.write(data));
    });
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        this.sockets.delete(socket);
        other.destroy();
      });
    }
  }
}
