// Our worker process as a Nest application has it: the worker made by dependency injection, logs by nestjs-pino at its
// default level, performance reports on.
// oxlint-disable-next-line import/no-unassigned-import -- it is there for what it does
import 'reflect-metadata';
import { devNull } from 'node:os';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Logger, LoggerModule } from 'nestjs-pino';
import pino from 'pino';
import { JobProcess, Worker, WorkerModule, WorkerType } from '../../dist/index.js';

/** @returns {Promise<import('../../dist/index.js').JobProcess>} */
export async function startNestApplication({ type, options, processItem }) {
  class MeasuredWorker extends Worker {
    processItem(item, context) {
      return processItem(item, context);
    }
  }
  WorkerType(type)(MeasuredWorker);

  class AppModule {}
  Module({
    imports: [
      LoggerModule.forRoot({ pinoHttp: [{}, pino.destination(devNull)] }),
      WorkerModule.forRoot({ ...options, reportIntervalMs: 1_000 }),
    ],
    providers: [MeasuredWorker],
  })(AppModule);

  const app = await NestFactory.createApplicationContext(AppModule, { bufferLogs: true });
  app.useLogger(app.get(Logger));
  return app.get(JobProcess);
}
