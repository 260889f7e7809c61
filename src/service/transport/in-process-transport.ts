import { BaseRpcContext, ClientProxy, Server } from '@nestjs/microservices';
import type { CustomTransportStrategy, IncomingEvent, ReadPacket, WritePacket } from '@nestjs/microservices';
import { lastValueFrom } from 'rxjs';

/** Where a client and a server of one process meet. */
export class InProcessChannel {
  server: InProcessServer | undefined = undefined;
}

/** A Nest transport within the process: it needs nothing installed, and behaves as the others do. */
export class InProcessServer extends Server implements CustomTransportStrategy {
  override readonly transportId = Symbol.for('IN_PROCESS');
  /** The client that emitted an event hears of its failure. */
  override readonly propagatesEventHandlerErrors = true;

  constructor(private readonly channel: InProcessChannel) {
    super();
  }

  listen(callback: () => void): void {
    this.channel.server = this;
    callback();
  }

  close(): void {
    this.channel.server = undefined;
  }

  on(): void {
    // A channel within the process knows no events of its own.
  }

  unwrap<T>(): T {
    return this.channel as T;
  }

  /** Hands a packet to its handler. @returns what the handler answers */
  async receive({ pattern, data }: ReadPacket | IncomingEvent): Promise<unknown> {
    const handler = this.getHandlerByPattern(String(pattern));
    if (handler === null) throw new Error(`No handler for the pattern ${JSON.stringify(pattern)}`);
    // A message that crosses a wire arrives as a copy; this one does too.
    const copy: unknown = data === undefined ? undefined : JSON.parse(JSON.stringify(data));
    const answer = this.transformToObservable(await handler(copy, new BaseRpcContext([pattern])));
    return lastValueFrom(answer, { defaultValue: undefined });
  }
}

/** Sends to the `InProcessServer` of the same channel. An event counts as sent when its handler has taken it. */
export class InProcessClient extends ClientProxy {
  constructor(private readonly channel: InProcessChannel) {
    super();
  }

  connect(): Promise<InProcessServer> {
    const { server } = this.channel;
    return server === undefined
      ? Promise.reject(new Error('The in-process transport does not listen'))
      : Promise.resolve(server);
  }

  close(): void {
    // There is no connection.
  }

  unwrap<T>(): T {
    return this.channel as T;
  }

  protected override publish(packet: ReadPacket, callback: (packet: WritePacket) => void): () => void {
    let isWanted = true;
    const answer = (reply: WritePacket) => isWanted && callback(reply);
    this.deliver(packet).then(
      (response) => answer({ response, isDisposed: true }),
      (err: unknown) => answer({ err }),
    );
    return () => (isWanted = false);
  }

  protected override async dispatchEvent<T>(packet: ReadPacket): Promise<T> {
    return (await this.deliver(packet)) as T;
  }

  private async deliver({ pattern, data }: ReadPacket): Promise<unknown> {
    const server = await this.connect();
    return server.receive({ pattern: this.normalizePattern(pattern as string), data });
  }
}
