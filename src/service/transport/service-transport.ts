import {
  ClientProxyFactory,
  Transport,
  type ClientProxy,
  type MicroserviceOptions,
  type RedisOptions,
} from '@nestjs/microservices';
import { InProcessChannel, InProcessClient, InProcessServer } from './in-process-transport.js';

/** The two ends of the transport that brings the service its messages. */
export interface ServiceTransport {
  readonly name: string;
  readonly server: MicroserviceOptions;
  createClient(): ClientProxy;
}

/** Redis where one is configured, else a transport within the process. */
export function serviceTransport(redisUrl: string | undefined): ServiceTransport {
  return redisUrl === undefined ? inProcessTransport() : redisTransport(redisUrl);
}

function inProcessTransport(): ServiceTransport {
  const channel = new InProcessChannel();
  return {
    name: 'within the process',
    server: { strategy: new InProcessServer(channel) },
    createClient: () => new InProcessClient(channel),
  };
}

function redisTransport(url: string): ServiceTransport {
  const { hostname, port, username, password, protocol } = new URL(url);
  const options: RedisOptions['options'] = {
    host: hostname,
    port: port === '' ? 6_379 : Number(port),
    ...(username === '' ? {} : { username: decodeURIComponent(username) }),
    ...(password === '' ? {} : { password: decodeURIComponent(password) }),
    ...(protocol === 'rediss:' ? { tls: {} } : {}),
    // Without it, Nest's transport ends the process when Redis goes away for a moment.
    retryAttempts: Number.MAX_SAFE_INTEGER,
    retryDelay: 1_000,
  };
  return {
    name: `Redis at ${hostname}:${options.port}`,
    server: { transport: Transport.REDIS, options },
    createClient: () => ClientProxyFactory.create({ transport: Transport.REDIS, options }),
  };
}
