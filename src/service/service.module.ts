import { Inject, Module, type DynamicModule, type OnApplicationShutdown } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import type { ClientProxy } from '@nestjs/microservices';
import { ScheduleModule } from '@nestjs/schedule';
import { TypeOrmModule } from '@nestjs/typeorm';
import { LoggerModule } from 'nestjs-pino';
import type { DestinationStream } from 'pino';
import { DataSource } from 'typeorm';
import { redisEngine } from '../bullmq.js';
import {
  connectRedisCursorCache,
  WorkerModule,
  type CursorCache,
  type WorkerModuleOptions,
} from '../index.js';
import { TypeOrmUploadStore } from '../typeorm.js';
import { ActivityController } from './activity/activity.controller.js';
import { MessageProcessingWorker } from './activity/message-processing.worker.js';
import { WebhookFeed } from './activity/webhook-feed.js';
import type { ServiceConfig } from './config/service-config.js';
import { databaseOptions, openDataSource } from './database.js';
import { ErrorFilter } from './error.filter.js';
import { FinancialDataWorker } from './quotes/financial-data.worker.js';
import { DAILY_QUOTES, QuoteFeed } from './quotes/quote-feed.js';
import { QuotesController } from './quotes/quotes.controller.js';
import { RoutesController } from './routes.controller.js';
import { StatusController } from './status.controller.js';
import type { ServiceTransport } from './transport/service-transport.js';
import { UnknownRouteFilter } from './unknown-route.filter.js';
import { InterruptedUploads } from './uploads/interrupted-uploads.js';
import { UploadsController } from './uploads/uploads.controller.js';
import { UserProcessingWorker } from './users/user-processing.worker.js';

/** How long the end of the service lets work finish. */
export const SHUTDOWN_TIMEOUT_MS = 20_000;

/** DI token of the client that sends webhooks to the service. */
export const WEBHOOK_CLIENT = Symbol('WEBHOOK_CLIENT');

export interface ServiceSetup {
  readonly config: ServiceConfig;
  readonly databaseUrl: string;
  readonly transport: ServiceTransport;
  readonly log: DestinationStream;
}

/** The reference service: three workers, fed by an HTTP upload, a cursor and messages. */
@Module({})
export class ServiceModule implements OnApplicationShutdown {
  constructor(@Inject(WEBHOOK_CLIENT) private readonly client: ClientProxy) {}

  static forRoot({ config, databaseUrl, transport, log }: ServiceSetup): DynamicModule {
    return {
      module: ServiceModule,
      imports: [
        // Without its middleware, which would put the headers of a request into every line that its work writes.
        LoggerModule.forRoot({ forRoutes: [], pinoHttp: [{ level: config.logLevel }, log] }),
        ScheduleModule.forRoot(),
        TypeOrmModule.forRootAsync({
          // A database that is down is told of at once, and not after ten tries.
          useFactory: () => ({ ...databaseOptions(databaseUrl), retryAttempts: 0 }),
          dataSourceFactory: (options) => openDataSource(options!),
        }),
        WorkerModule.forRootAsync({
          inject: [DataSource],
          useFactory: (dataSource: DataSource) => workerOptions(config, dataSource),
        }),
      ],
      controllers: [
        RoutesController,
        UploadsController,
        QuotesController,
        ActivityController,
        StatusController,
      ],
      providers: [
        UserProcessingWorker,
        FinancialDataWorker,
        MessageProcessingWorker,
        QuoteFeed,
        WebhookFeed,
        InterruptedUploads,
        { provide: TypeOrmUploadStore, useFactory: uploadStore, inject: [DataSource] },
        { provide: WEBHOOK_CLIENT, useFactory: () => transport.createClient() },
        { provide: APP_FILTER, useClass: ErrorFilter },
        { provide: APP_FILTER, useClass: UnknownRouteFilter },
      ],
    };
  }

  async onApplicationShutdown(): Promise<void> {
    await this.client.close();
  }
}

async function workerOptions(config: ServiceConfig, dataSource: DataSource): Promise<WorkerModuleOptions> {
  const { maxConcurrency, scalingThreshold, quotesCron, redisUrl } = config;
  return {
    maxConcurrency,
    scalingThreshold,
    shutdownTimeoutMs: SHUTDOWN_TIMEOUT_MS,
    cursors: { [DAILY_QUOTES]: { cron: quotesCron } },
    // In memory, or durable: the one option that says it.
    engine: redisUrl === undefined ? undefined : redisEngine({ url: redisUrl }),
    cursorCache: redisUrl === undefined ? undefined : await openCursorCache(redisUrl),
    uploads: { store: uploadStore(dataSource) },
  };
}

async function openCursorCache(url: string): Promise<CursorCache> {
  try {
    return await connectRedisCursorCache(url);
  } catch (error) {
    throw new Error('Redis (REDIS_URL) could not be reached', { cause: error });
  }
}

function uploadStore(dataSource: DataSource): TypeOrmUploadStore {
  return new TypeOrmUploadStore(dataSource);
}
