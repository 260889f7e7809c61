import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { Logger } from 'nestjs-pino';
import type { DestinationStream } from 'pino';
import { closeWithWorkers } from '../index.js';
import { USUAL_PORT, type ServiceConfig } from './config/service-config.js';
import { ServiceModule } from './service.module.js';
import { serviceTransport } from './transport/service-transport.js';

/** A service that is up. */
export interface RunningService {
  readonly app: NestExpressApplication;
  /** Where it listens for HTTP. */
  readonly url: string;
  /** What brings it messages, in words. */
  readonly transportName: string;
}

/** Starts the service. It then ends in order at SIGTERM and SIGINT. */
export async function startService(
  config: ServiceConfig,
  databaseUrl: string,
  log: DestinationStream,
): Promise<RunningService> {
  const transport = serviceTransport(config.redisUrl);
  const app = await NestFactory.create<NestExpressApplication>(
    ServiceModule.forRoot({ config, databaseUrl, transport, log }),
    {
      bufferLogs: true,
      // What goes wrong at the start is told by whoever started the service, and not by Nest beside it.
      autoFlushLogs: false,
      abortOnError: false,
      // No route takes JSON or a form; a parser would only take a file away that comes with their content type.
      bodyParser: false,
    },
  );
  try {
    app.useLogger(app.get(Logger));
    app.flushLogs();
    app.connectMicroservice(transport.server);
    await app.startAllMicroservices();
    await listen(app, config.port);
  } catch (error) {
    await app.close();
    throw error;
  }
  closeWithWorkers(app);
  return { app, url: await app.getUrl(), transportName: transport.name };
}

/** On the port that was asked for; when none was, on the usual one, or any other if somebody has that. */
async function listen(app: NestExpressApplication, port: number | undefined): Promise<void> {
  const host = '127.0.0.1';
  if (port !== undefined) {
    await app.listen(port, host);
    return;
  }
  try {
    await app.listen(USUAL_PORT, host);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    await app.listen(0, host);
  }
}
