import { afterEach } from '@jest/globals';
import type { INestApplicationContext, LoggerService, ModuleMetadata } from '@nestjs/common';
import { Test, type TestingModule, type TestingModuleBuilder } from '@nestjs/testing';
import { JobProcess, type EventName, type WorkerProcessEvents } from '../../../src/index.js';

export { gate, type Gate } from './gate.js';

/** What has been started in a test and is closed at its end, the last one first. */
const closings: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closings.splice(0).toReversed()) await close();
});

/** Has `close` called at the end of the test. */
export function closeAtEnd(close: () => Promise<unknown>): void {
  closings.push(close);
}

export const silent: LoggerService = {
  log: ignore,
  error: ignore,
  warn: ignore,
  debug: ignore,
  verbose: ignore,
};
function ignore(): void {}

/** Makes the providers of an application that lives until the end of the test; `init` starts it. */
export async function compileApplication(
  metadata: ModuleMetadata,
  adapt: (builder: TestingModuleBuilder) => TestingModuleBuilder = (builder) => builder,
): Promise<TestingModule> {
  const app = await adapt(Test.createTestingModule(metadata).setLogger(silent)).compile();
  closeAtEnd(() => app.close());
  return app;
}

/** An application that has started, and lives until the end of the test. */
export async function startApplication(
  metadata: ModuleMetadata,
  adapt?: (builder: TestingModuleBuilder) => TestingModuleBuilder,
): Promise<TestingModule> {
  const app = await compileApplication(metadata, adapt);
  return app.init();
}

/** The next event of the name that `matches` is true of. */
export function nextEvent<Name extends EventName>(
  app: INestApplicationContext,
  name: Name,
  matches: (event: WorkerProcessEvents[Name]) => boolean = () => true,
): Promise<WorkerProcessEvents[Name]> {
  const jobs = app.get(JobProcess);
  return new Promise((resolve) => {
    const stop = jobs.on(name, (event) => {
      if (!matches(event)) return;
      stop();
      resolve(event);
    });
  });
}
