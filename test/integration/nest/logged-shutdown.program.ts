import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { LoggerModule } from 'nestjs-pino';
import { closeWithWorkers, WorkerModule } from '../../../src/index.js';

/** An application whose log another thread writes to the standard output, late. It waits for a signal. */
const target = new URL('../../support/slow-log.mjs', import.meta.url).href;

@Module({
  imports: [
    WorkerModule.forRoot({ reportIntervalMs: 0 }),
    LoggerModule.forRoot({ forRoutes: [], pinoHttp: { transport: { target } } }),
  ],
})
class AppModule {}

const app = await NestFactory.create(AppModule, { logger: false });
closeWithWorkers(app);
await app.listen(0, '127.0.0.1');
console.log('listens');
