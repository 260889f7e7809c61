import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import pino from 'pino';
import { JobProcess } from '../index.js';
import {
  asksForHelp,
  InvalidConfigError,
  readConfig,
  USAGE,
  type ServiceConfig,
} from './config/service-config.js';
import type { ProgressDisplay } from './display/progress.js';
import { createProgressDisplay } from './display/progress-display.js';
import { renderSummary } from './display/render-summary.js';
import { startEmbeddedPostgres } from './embedded-postgres/embedded-postgres.js';
import { tellOfEnding } from './ending.js';
import { makeLogFile } from './log-folder.js';
import { requireWritable } from './require-writable.js';
import { runMainJob } from './run/main-job.js';
import { startService, type RunningService } from './service.js';
import { startError } from './start-error.js';

async function main(): Promise<void> {
  const argv = process.argv.slice(2);
  if (asksForHelp(argv)) return print(USAGE);
  if (existsSync('.env')) process.loadEnvFile('.env');
  const config = readConfig(argv, process.env);
  await requireWritable({ LOG_FILE: config.logFile, '--json': config.jsonFile });
  const logFile = config.logFile ?? (await makeLogFile());
  const database = await openDatabase(config);
  const service = await startService(config, database.url, pino.destination(logFile));
  const { app, url, transportName } = service;
  print(`Service at ${url}, messages ${transportName}\nLog in ${logFile}\n`);
  const display = createProgressDisplay(process.stdout);
  const tell = (line: string) => {
    // Bars that still moved would overwrite it.
    display.close();
    print(line);
  };
  tellOfEnding(service, { tell, keepsDatabase: config.databaseUrl !== undefined });

  await run(service, config, display);
  // A signal has the service end the process by itself, once its work is done.
  if (app.get(JobProcess).isClosed) return;
  if (!config.once) return print(`The service stays up at ${url}; Ctrl-C ends it.`);
  await app.close();
  await database.close();
}

/** The main job with its summary. Of a run that a signal ends there is none, and that is no failure. */
async function run(
  service: RunningService,
  { jsonFile }: ServiceConfig,
  display: ProgressDisplay,
): Promise<void> {
  const { app } = service;
  try {
    const summary = await runMainJob(service, display);
    print(`\n${renderSummary(summary)}`);
    if (jsonFile === undefined) return;
    await writeFile(jsonFile, `${JSON.stringify(summary, null, 2)}\n`);
    print(`Summary in ${jsonFile}`);
  } catch (error) {
    if (app.get(JobProcess).isClosed) return;
    await app.close();
    throw error;
  }
}

/** The database that is configured, or one of the service's own that ends with it. */
async function openDatabase({
  databaseUrl,
}: ServiceConfig): Promise<{ url: string; close: () => Promise<void> }> {
  if (databaseUrl !== undefined) return { url: databaseUrl, close: () => Promise.resolve() };
  print('Starting a Postgres of its own (set DATABASE_URL to use another) …');
  const postgres = await startEmbeddedPostgres();
  return { url: postgres.url, close: () => postgres.stop() };
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`\n${error instanceof InvalidConfigError ? error.message : startError(error)}\n`);
  // What the failed start has opened must not keep the process.
  process.exit(1);
});
