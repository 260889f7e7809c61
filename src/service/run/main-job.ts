import { Readable } from 'node:stream';
import type { INestApplicationContext } from '@nestjs/common';
import type { ClientProxy } from '@nestjs/microservices';
import { from, lastValueFrom, mergeMap } from 'rxjs';
import { DataSource } from 'typeorm';
import { JobProcess, type CursorRunResult, type Upload, type UploadRunResult } from '../../index.js';
import { loadWebhookPayloads } from '../activity/webhook-payloads.js';
import { WEBHOOK_PATTERN } from '../activity/webhook-feed.js';
import type { ProgressDisplay, ProgressTrack } from '../display/progress.js';
import type { RunSummary } from '../display/run-summary.js';
import { DAILY_QUOTES } from '../quotes/quote-feed.js';
import type { RunningService } from '../service.js';
import { WEBHOOK_CLIENT } from '../service.module.js';
import { generateUserFile } from '../users/user-file.js';
import { RunRecorder } from './run-recorder.js';
import { countStored, storedAfter } from './count-stored.js';

const USER_ROWS = 10_000;
const MESSAGES_UNDER_WAY = 50;
const PROGRESS_INTERVAL_MS = 50;

/** What every part of the run works with. */
interface Run {
  readonly url: string;
  readonly app: INestApplicationContext;
  readonly jobs: JobProcess;
  readonly display: ProgressDisplay;
  readonly recorder: RunRecorder;
}

/** Feeds all three workers, the way their users would, until everything is done. */
export async function runMainJob(
  { app, url }: Pick<RunningService, 'app' | 'url'>,
  display: ProgressDisplay,
): Promise<RunSummary> {
  const jobs = app.get(JobProcess);
  const dataSource = app.get(DataSource);
  const recorder = new RunRecorder(jobs);
  const run: Run = { url, app, jobs, display, recorder };
  try {
    const before = await countStored(dataSource);
    await Promise.all([uploadUsers(run), readQuotes(run), sendWebhooks(run)]);
    const { users, prices, webhooks } = before;
    return recorder.summary({
      stored: storedAfter(before, await countStored(dataSource)),
      storedBefore: { users, prices, webhooks },
    });
  } finally {
    recorder.stop();
    display.close();
  }
}

/** A file of users goes over HTTP to the service, which stores its rows and then works on them. */
async function uploadUsers({ url, jobs, display, recorder }: Run): Promise<void> {
  const file = generateUserFile({ rows: USER_ROWS });
  const track = display.start('user-processing', file.expectation.rows);
  const upload = await post<Upload>(
    `${url}/uploads?name=users.csv`,
    Readable.toWeb(Readable.from(file, { objectMode: false })),
  );
  await post(`${url}/uploads/${upload.id}/process`);
  const processing = await jobs.processUserUpload(upload.id);
  const result = await follow(track, processing.completed, () => processing.progress());
  recorder.typeFinished('user-processing');
  refuseUnended('The upload', result);
}

/** The quotes are read by hand here, as the cron would read them. */
async function readQuotes({ jobs, display, recorder }: Run): Promise<void> {
  const track = display.start('financial-data');
  const reading = jobs.processCursorData(DAILY_QUOTES);
  const result = await follow(track, reading.completed, () => reading.progress());
  recorder.typeFinished('financial-data');
  refuseUnended('The reading of the quotes', result);
}

function refuseUnended(what: string, { status, error }: UploadRunResult | CursorRunResult): void {
  if (status === 'completed' || status === 'completed-with-failures') return;
  throw new Error(`${what} has ${status === 'failed' ? status : `been ${status}`}`, { cause: error });
}

/** Webhooks come over the transport. Each counts as sent when the service has taken it. */
async function sendWebhooks({ app, jobs, display, recorder }: Run): Promise<void> {
  const client = app.get<ClientProxy>(WEBHOOK_CLIENT);
  // GitHub names each delivery; with the same names, a second run against the same database counts nothing twice.
  const messages = loadWebhookPayloads().map((message, index) => ({
    ...message,
    deliveryId: `example-${index}`,
  }));
  const track = display.start('message-processing', messages.length);
  await client.connect();
  const sent = lastValueFrom(
    from(messages).pipe(mergeMap((message) => client.send(WEBHOOK_PATTERN, message), MESSAGES_UNDER_WAY)),
  );
  await follow(track, sent, () => {
    const { completed, dead } = jobs.counts('message-processing');
    return { done: completed, failed: dead };
  });
  recorder.typeFinished('message-processing');
}

/** Shows how far the work is until it has ended. */
async function follow<Result>(
  track: ProgressTrack,
  work: Promise<Result>,
  progress: () => { readonly done: number; readonly failed: number },
): Promise<Result> {
  const show = () => {
    const { done, failed } = progress();
    track.update(done + failed, failed);
  };
  const timer = setInterval(show, PROGRESS_INTERVAL_MS);
  try {
    return await work;
  } finally {
    clearInterval(timer);
    show();
    track.finish();
  }
}

async function post<Answer>(url: string, body?: ReadableStream): Promise<Answer> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'text/csv' },
    body,
    duplex: 'half',
  });
  if (!response.ok) throw new Error(`POST ${url} answered ${response.status}: ${await response.text()}`);
  return (await response.json()) as Answer;
}
