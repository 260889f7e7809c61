import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ClientProxy } from '@nestjs/microservices';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { lastValueFrom } from 'rxjs';
import type { MessageReceipt, WorkCounts } from '../../../src/index.js';
import type { WebhookMessage } from '../../../src/service/activity/activity.js';
import { WEBHOOK_PATTERN } from '../../../src/service/activity/webhook-feed.js';
import { ROUTES } from '../../../src/service/routes.js';
import { WEBHOOK_CLIENT } from '../../../src/service/service.module.js';
import { startError } from '../../../src/service/start-error.js';
import { startTestService, type TestService } from './running-service.js';
import {
  answerTo,
  database,
  HEADER,
  processUpload,
  row,
  service,
  uploadFile,
  type ErrorAnswer,
} from './shared-service.js';

describe('while the service ends', () => {
  it('refuses what is new, and says why', async () => {
    const ending = await startTestService(database.url);
    const { id } = await uploadFile(HEADER + row(1));
    await ending.jobs.shutdown();
    const answers = await Promise.all([
      ending.post<ErrorAnswer>('/uploads', HEADER + row(1)),
      ending.post<ErrorAnswer>(`/uploads/${id}/process`),
      ending.post<ErrorAnswer>('/quotes/run'),
    ]);
    for (const { status, body } of answers) {
      expect([status, body.message]).toEqual([503, expect.stringContaining('is shutting down')]);
    }
    await ending.app.close();
  });
});

describe('the quotes', () => {
  it('are read when that is asked for, and have statistics then', async () => {
    expect((await service.get('/quotes/statistics')).body).toEqual([]);
    const ended = service.next('cursorRunEnded');
    const { status, body } = await service.post('/quotes/run');
    expect([status, body]).toEqual([202, { name: 'daily-quotes', pages: 0, items: 0, done: 0, failed: 0 }]);
    expect(await ended).toMatchObject({ status: 'completed', items: 5_665, failed: 0 });

    const statistics = await service.get<{ symbol: string; prices: number }[]>('/quotes/statistics');
    expect(statistics.body.map(({ symbol, prices }) => [symbol, prices])).toEqual([
      ['AAPL', 123],
      ['AMZN', 123],
      ['GOOG', 68],
      ['IBM', 123],
      ['MSFT', 123],
      ['SPX', 5_105],
    ]);
  });

  it('are read once at a time, and whatever stands in the body of the request', async () => {
    const ended = service.next('cursorRunEnded');
    const skipped = service.next('triggerSkipped');
    const answers = await Promise.all([
      service.post('/quotes/run'),
      service.post('/quotes/run', '{ no JSON', { 'content-type': 'application/json' }),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([202, 202]);
    expect(await skipped).toMatchObject({ name: 'daily-quotes' });
    expect(await ended).toMatchObject({ status: 'completed', items: 5_665 });
  });
});

const send = (message: unknown) =>
  lastValueFrom(service.app.get<ClientProxy>(WEBHOOK_CLIENT).send<MessageReceipt>(WEBHOOK_PATTERN, message));
const star = (deliveryId: string): WebhookMessage => ({
  event: 'star',
  deliveryId,
  payload: { action: 'created', repository: { full_name: 'a/b' } },
});

describe('webhooks', () => {
  it('are counted by repository and event, what happened most first', async () => {
    await Promise.all([send(star('1')), send(star('2')), send({ event: 'ping', payload: {} })]);
    expect((await service.get('/activity')).body).toEqual([
      { repository: 'a/b', event: 'star', count: 2 },
      { repository: '(none)', event: 'ping', count: 1 },
    ]);
  });

  it('are counted once when they come again, with an id or without', async () => {
    const { deliveryId: _, ...nameless } = star('');
    for (const message of [star('1'), star('1'), nameless, nameless]) {
      expect(await send(message)).toMatchObject({ items: 1, done: 1, failed: 0 });
    }
    expect((await service.get('/activity')).body).toEqual([{ repository: 'a/b', event: 'star', count: 2 }]);
  });

  it('that are none become dead letters, and their sender is told why', async () => {
    const rejected = 'payload: expected an object, got nothing';
    expect(await send({ event: 'star' })).toMatchObject({ done: 0, failed: 1, rejected });
    expect((await service.get('/dead-letters/message-processing')).body).toMatchObject([
      { error: rejected, attempts: 0, payload: { event: 'star' } },
    ]);
    expect((await service.get('/activity')).body).toEqual([]);
  });
});

interface ShownDeadLetter {
  readonly sequence: number;
  readonly id: string;
  readonly error: string;
  readonly payload: { readonly line: number };
}

describe('dead letters', () => {
  let ofItsOwn: TestService;

  beforeAll(async () => {
    ofItsOwn = await startTestService(database.url);
  });

  afterAll(() => ofItsOwn.app.close());

  it('are listed in pages, and die again when they are redriven in vain', async () => {
    const { id } = await uploadFile(HEADER + row(1, 'gold') + row(2) + row(3, 'silver'));
    const ended = ofItsOwn.next('uploadEnded');
    await ofItsOwn.post(`/uploads/${id}/process`);
    await ended;

    const path = '/dead-letters/user-processing';
    const { body: letters } = await ofItsOwn.get<ShownDeadLetter[]>(path);
    expect(letters.map(({ payload }) => payload.line)).toEqual([2, 4]);
    const { body: after } = await ofItsOwn.get<ShownDeadLetter[]>(`${path}?after=${letters[0]!.sequence}`);
    expect(after).toEqual(letters.slice(1));
    expect(await ofItsOwn.get(`${path}?after=that`)).toMatchObject({
      status: 400,
      body: { message: 'after: expected a whole number from 0 to 2147483647, got "that"' },
    });

    const { status, body } = await ofItsOwn.post(`${path}/redrive`);
    expect([status, body]).toEqual([202, { redriven: 2 }]);
    await ofItsOwn.jobs.waitForCompletion();
    const { body: again } = await ofItsOwn.get<ShownDeadLetter[]>(path);
    expect(new Set(again.map((letter) => letter.id))).toEqual(new Set(letters.map((letter) => letter.id)));
    expect((await ofItsOwn.post(`/dead-letters/message-processing/redrive`)).body).toEqual({ redriven: 0 });
  });

  it('of a worker type that nobody knows are not found', async () => {
    const message =
      'Unknown worker type "x"; known types: user-processing, financial-data, message-processing';
    const answers = [
      await service.get<ErrorAnswer>('/dead-letters/x'),
      await service.post<ErrorAnswer>('/dead-letters/x/redrive'),
    ];
    for (const { status, body } of answers) expect([status, body.message]).toEqual([404, message]);
  });
});

describe('the status', () => {
  it('counts the items of each worker type', async () => {
    const before = (await service.get<Record<string, WorkCounts>>('/status')).body['user-processing']!;
    const { id } = await uploadFile(HEADER + row(1) + row(2, 'gold'));
    await processUpload(id);
    const { body } = await service.get<Record<string, WorkCounts>>('/status');
    expect(Object.keys(body)).toEqual(['user-processing', 'financial-data', 'message-processing']);
    expect(body['user-processing']).toMatchObject({
      submitted: before.submitted + 2,
      completed: before.completed + 1,
      dead: before.dead + 1,
      waiting: 0,
      running: 0,
    });
  });
});

const headStatus = async (path: string) => (await fetch(service.url + path, { method: 'HEAD' })).status;

describe('the list of what there is', () => {
  it('is what the address of the service shows', async () => {
    expect(await service.get('/')).toEqual({ status: 200, body: ROUTES });
  });

  it('names all that is answered', () => {
    const { router } = service.app.getHttpAdapter().getInstance();
    const answered = router.stack.flatMap(({ route }) =>
      (route?.stack ?? []).map(({ method }) => `${method.toUpperCase()} ${route!.path}`),
    );
    expect(new Set(Object.keys(ROUTES))).toEqual(new Set(answered));
  });

  it('is where a sender is led to who asks for something else', async () => {
    expect(await answerTo('/upload', HEADER, {})).toEqual([
      404,
      'POST /upload: there is no such path; GET / lists those that there are',
    ]);
  });

  it.each([
    ['PUT', '/uploads', 'POST'],
    ['GET', '/uploads/1/process', 'POST'],
    ['POST', '/Quotes/Statistics/', 'GET'],
    ['DELETE', '/', 'GET'],
  ])('says by which method a path is to be asked: %s %s', async (method, path, allowed) => {
    const response = await fetch(service.url + path, { method });
    expect([response.status, response.headers.get('allow')]).toEqual([405, allowed]);
    expect(await response.json()).toMatchObject({ message: `${path}: expected ${allowed}, got ${method}` });
  });

  it('is without its body for who asks for the head only', async () => {
    expect([
      await headStatus('/status'),
      await headStatus('/uploads/1'),
      await headStatus('/uploads'),
    ]).toEqual([200, 404, 405]);
  });
});

describe('the log', () => {
  it('tells of work without the headers of the request that asked for it', async () => {
    const { id } = await uploadFile(HEADER + row(1, 'gold'));
    const ended = service.next('uploadEnded');
    await service.post(`/uploads/${id}/process`, undefined, { authorization: 'Bearer s3cret' });
    await ended;
    const lines = service.log.filter((line) => line.includes(id));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/completed-with-failures: 1 rows?, 1 failed/);
    expect(service.log.join('')).not.toContain('s3cret');
  });
});

/** Says no to the password of everybody, as a Postgres does. */
function passwordRefuser(): Server {
  const fields = ['SFATAL', 'C28P01', 'Mpassword authentication failed for user "ada"', '', ''];
  const text = Buffer.from(fields.join('\0'));
  const length = Buffer.alloc(4);
  length.writeInt32BE(text.length + length.length);
  return createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end(Buffer.concat([Buffer.from('E'), length, text])));
  });
}

const failure = (databaseUrl: string, env?: Readonly<Record<string, string>>) =>
  startTestService(databaseUrl, env).then(() => 'it started', startError);

describe('a service that cannot start says why, and leaves no connection behind:', () => {
  it('its port is in use', async () => {
    const PORT = new URL(service.url).port;
    expect(await failure(database.url, { PORT })).toBe(`Port ${PORT} (PORT) is in use`);
  });

  it('its database does not exist', async () => {
    const url = new URL(database.url);
    url.pathname = '/no_such_database';
    expect(await failure(url.href)).toBe(
      'The database (DATABASE_URL) could not be opened\n  because: database "no_such_database" does not exist',
    );
  });

  it('its password is refused, and not shown', async () => {
    const refuser = passwordRefuser().listen(0, '127.0.0.1');
    await once(refuser, 'listening');
    const { port } = refuser.address() as AddressInfo;
    expect(await failure(`postgres://ada:s3cret@127.0.0.1:${port}/x`)).toBe(
      'The database (DATABASE_URL) could not be opened\n  because: password authentication failed for user "ada"',
    );
    refuser.close();
  });
});
