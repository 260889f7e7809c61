import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pino from 'pino';
import { InvalidConfigError, readConfig, type ServiceConfig } from './config/service-config.js';
import { createProgressDisplay } from './display/progress-display.js';
import { renderSummary } from './display/render-summary.js';
import { startEmbeddedPostgres } from './embedded-postgres/embedded-postgres.js';
import { runMainJob } from './run/main-job.js';
import { startService } from './service.js';
import { startError } from './start-error.js';

async function main(): Promise<void> {
  if (existsSync('.env')) process.loadEnvFile('.env');
  const config = readConfig(process.argv.slice(2), process.env);
  const database = await openDatabase(config);
  const logFile = config.logFile ?? path.join(tmpdir(), `background-worker-${process.pid}.log`);
  const { app, url, transportName } = await startService(config, database.url, pino.destination(logFile));
  print(`Service at ${url}, messages ${transportName}, log in ${logFile}\n`);

  const summary = await runMainJob({ app, url }, createProgressDisplay(process.stdout));
  print(`\n${renderSummary(summary)}`);
  if (config.jsonFile !== undefined)
    await writeFile(config.jsonFile, `${JSON.stringify(summary, null, 2)}\n`);
  if (!config.once) return print(`\nThe service stays up at ${url}; Ctrl-C ends it.`);
  await app.close();
  await database.close();
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
