import { JobProcess, type EventName, type WorkerProcessEvents } from '../../../src/index.js';
import { readConfig } from '../../../src/service/config/service-config.js';
import type { ProgressDisplay } from '../../../src/service/display/progress.js';
import { startService, type RunningService } from '../../../src/service/service.js';

/** A service in this process, on a port of its own. */
export interface TestService extends RunningService {
  readonly jobs: JobProcess;
  /** The lines of its log. */
  readonly log: readonly string[];
  get<Answer>(path: string): Promise<Response<Answer>>;
  post<Answer>(
    path: string,
    body?: RequestInit['body'],
    headers?: Record<string, string>,
  ): Promise<Response<Answer>>;
  /** The next event of the name. */
  next<Name extends EventName>(name: Name): Promise<WorkerProcessEvents[Name]>;
}

export interface Response<Answer> {
  readonly status: number;
  readonly body: Answer;
}

export async function startTestService(
  databaseUrl: string,
  env: Readonly<Record<string, string>> = {},
): Promise<TestService> {
  const log: string[] = [];
  const config = readConfig([], { PORT: '0', ...env });
  const service = await startService(config, databaseUrl, { write: (line) => void log.push(line) });
  const jobs = service.app.get(JobProcess);
  const request = async <Answer>(path: string, init?: RequestInit): Promise<Response<Answer>> => {
    const response = await fetch(service.url + path, init);
    return { status: response.status, body: (await response.json()) as Answer };
  };
  return {
    ...service,
    jobs,
    log,
    get: (path) => request(path),
    post: (path, body, headers = body === undefined ? {} : { 'content-type': 'text/csv' }) =>
      request(path, { method: 'POST', body, headers }),
    next: (name) =>
      new Promise((resolve) => {
        const stop = jobs.on(name, (event) => {
          stop();
          resolve(event);
        });
      }),
  };
}

/** What a display showed of one piece of work. */
export interface ShownTrack {
  readonly name: string;
  readonly total: number | undefined;
  done: number;
  failed: number;
  isEnded: boolean;
}

/** A display that keeps the last state of all it is told. */
export function recordingDisplay(): ProgressDisplay & {
  readonly tracks: readonly ShownTrack[];
  isClosed: boolean;
} {
  const tracks: ShownTrack[] = [];
  const display = {
    tracks,
    isClosed: false,
    start(name: string, total?: number) {
      const track: ShownTrack = { name, total, done: 0, failed: 0, isEnded: false };
      tracks.push(track);
      return {
        update: (done: number, failed: number) => void Object.assign(track, { done, failed }),
        finish: () => void (track.isEnded = true),
      };
    },
    close: () => void (display.isClosed = true),
  };
  return display;
}
