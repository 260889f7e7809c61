import { existsSync } from 'node:fs';
import { open, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pino from 'pino';
import { JobProcess } from '../index.js';
import { InvalidConfigError, readConfig, type ServiceConfig } from './config/service-config.js';
import { createProgressDisplay } from './display/progress-display.js';
import { renderSummary } from './display/render-summary.js';
import { startEmbeddedPostgres } from './embedded-postgres/embedded-postgres.js';
import { runMainJob } from './run/main-job.js';
import { startService, type RunningService } from './service.js';
import { startError } from './start-error.js';

async function main(): Promise<void> {
  if (existsSync('.env')) process.loadEnvFile('.env');
  const config = readConfig(process.argv.slice(2), process.env);
  const logFile = config.logFile ?? path.join(tmpdir(), `background-worker-${process.pid}.log`);
  await requireWritable({ LOG_FILE: logFile, '--json': config.jsonFile });
  const database = await openDatabase(config);
  const service = await startService(config, database.url, pino.destination(logFile));
  const { app, url, transportName } = service;
  print(`Service at ${url}, messages ${transportName}\nLog in ${logFile}\n`);

  try {
    await run(service, config);
  } catch (error) {
    // A signal ends the run as well; the service then ends the process itself, once its work is done.
    if (app.get(JobProcess).isClosed) return;
    await app.close();
    throw error;
  }
  if (!config.once) return print(`The service stays up at ${url}; Ctrl-C ends it.`);
  await app.close();
  await database.close();
}

async function run(service: RunningService, { jsonFile }: ServiceConfig): Promise<void> {
  const summary = await runMainJob(service, createProgressDisplay(process.stdout));
  print(`\n${renderSummary(summary)}`);
  if (jsonFile !== undefined) await writeFile(jsonFile, `${JSON.stringify(summary, null, 2)}\n`);
}

/** What is written at the end had better be told of at the start. */
async function requireWritable(files: Readonly<Record<string, string | undefined>>): Promise<void> {
  const problems: string[] = [];
  for (const [name, file] of Object.entries(files)) {
    if (file === undefined) continue;
    try {
      await (await open(file, 'a')).close();
    } catch (error) {
      problems.push(`${name}: expected a file that can be written, got ${(error as Error).message}`);
    }
  }
  if (problems.length > 0) throw new InvalidConfigError(problems);
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
