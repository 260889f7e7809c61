import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { ClientProxy } from '@nestjs/microservices';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { lastValueFrom } from 'rxjs';
import { DataSource } from 'typeorm';
import type { MessageReceipt, Upload, WorkCounts } from '../../../src/index.js';
import type { WebhookMessage } from '../../../src/service/activity/activity.js';
import { WEBHOOK_PATTERN } from '../../../src/service/activity/webhook-feed.js';
import { ROUTES } from '../../../src/service/routes.js';
import { WEBHOOK_CLIENT } from '../../../src/service/service.module.js';
import { startError } from '../../../src/service/start-error.js';
import { USER_COLUMNS } from '../../../src/service/users/user-columns.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { until } from '../../support/until.js';
import { startTestService, type TestService } from './running-service.js';

const LIMIT_MS = 10_000;

let database: TestDatabase;
let service: TestService;
let dataSource: DataSource;

beforeAll(async () => {
  database = await createTestDatabase();
  service = await startTestService(database.url);
  dataSource = service.app.get(DataSource);
});

beforeEach(async () => {
  const tables = dataSource.entityMetadatas.map(({ tablePath }) => tablePath);
  await dataSource.query(`TRUNCATE ${tables.join(', ')} RESTART IDENTITY`);
});

afterAll(async () => {
  await service.app.close();
  await database.drop();
});

const HEADER = `${USER_COLUMNS.join(',')}\n`;
const row = (number: number, plan = 'free') =>
  `${number},user-${number}@x.example,User ${number},1990-01-01,DE,,2020-01-01T00:00:00Z,${plan}\n`;
const rows = (count: number) => Array.from({ length: count }, (_, index) => row(index + 1)).join('');

interface ErrorAnswer {
  readonly statusCode: number;
  readonly message: string;
}

interface LogLine {
  readonly level: number;
  readonly msg: string;
}

interface FailedRow {
  readonly number: number;
  readonly error: string;
  readonly attempts: number;
  readonly payload: { readonly line: number; readonly cells: { readonly plan: string } };
}

const query = <Row>(sql: string) => dataSource.query<Row[]>(sql);

async function emails(): Promise<string[]> {
  return (await query<{ email: string }>('SELECT email FROM users ORDER BY id')).map(({ email }) => email);
}

async function uploadFile(text: string): Promise<Upload> {
  const { status, body } = await service.post<Upload>('/uploads?name=list.csv', text);
  expect(status).toBe(201);
  return body;
}

const answerTo = async (
  path: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string>,
) => {
  const answer = await service.post<ErrorAnswer & Upload>(path, body, headers);
  return [answer.status, answer.body.message ?? answer.body.rows];
};

async function processUpload(id: string) {
  const ended = service.next('uploadEnded');
  expect((await service.post(`/uploads/${id}/process`)).status).toBe(202);
  return ended;
}

describe('an upload', () => {
  it('is stored as it comes, and worked on when that is asked for', async () => {
    const upload = await uploadFile(HEADER + row(1) + row(2));
    const { id } = upload;
    expect(upload).toEqual({
      id,
      name: 'list.csv',
      type: 'user-processing',
      status: 'received',
      rows: 2,
      done: 0,
      failed: 0,
    });
    expect(await emails()).toEqual([]);

    expect(await processUpload(id)).toMatchObject({ uploadId: id, status: 'completed', rows: 2 });
    expect(await emails()).toEqual(['user-1@x.example', 'user-2@x.example']);
    const { body } = await service.get<Upload>(`/uploads/${id}`);
    expect(body).toEqual({ ...upload, status: 'completed', done: 2 });
  });

  it('lists its failed rows with their reasons, in the order of the file', async () => {
    const { id } = await uploadFile(HEADER + row(1, 'gold') + row(2) + row(3, ''));
    await processUpload(id);
    const { body } = await service.get<FailedRow[]>(`/uploads/${id}/failed`);
    const expected = 'plan: expected one of free, pro, team, enterprise, got';
    expect(body).toMatchObject([
      { number: 1, error: `${expected} "gold"`, attempts: 1, payload: { line: 2, cells: { plan: 'gold' } } },
      { number: 3, error: `${expected} nothing`, attempts: 1, payload: { line: 4, cells: { plan: '' } } },
    ]);
    expect(await emails()).toEqual(['user-2@x.example']);
    expect((await service.get(`/uploads/${id}/failed?after=1`)).body).toEqual(body.slice(1));
    expect(await service.get(`/uploads/${id}/failed?after=3000000000`)).toMatchObject({
      status: 400,
      body: { message: 'after: expected a whole number from 0 to 2147483647, got "3000000000"' },
    });
  });

  it('is worked on once when it is asked for twice at once, and not again when it is done', async () => {
    const { submitted } = service.jobs.counts('user-processing');
    const { id } = await uploadFile(HEADER + rows(1_500));
    const ended = service.next('uploadEnded');
    const answers = await Promise.all([
      service.post(`/uploads/${id}/process`),
      service.post(`/uploads/${id}/process`),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([202, 202]);
    expect(await ended).toMatchObject({ status: 'completed', done: 1_500 });
    expect(await processUpload(id)).toMatchObject({ status: 'completed', rows: 0 });
    expect(service.jobs.counts('user-processing').submitted).toBe(submitted + 1_500);
    expect(await emails()).toHaveLength(1_500);
  });

  it('may be a file with a header and no rows', async () => {
    const { id, rows: count } = await uploadFile(HEADER);
    expect(count).toBe(0);
    expect(await processUpload(id)).toMatchObject({ status: 'completed', rows: 0 });
  });

  it('that is started while it is worked on, and after it has ended, is answered as it stands', async () => {
    const upload = await uploadFile(HEADER + row(1) + row(2, 'gold'));
    const ended = service.next('uploadEnded');
    const started = await service.post(`/uploads/${upload.id}/process`);
    expect([started.status, started.body]).toEqual([202, { ...upload, status: 'processing' }]);
    await ended;
    const again = service.next('uploadEnded');
    expect(await service.post(`/uploads/${upload.id}/process`)).toEqual({
      status: 202,
      body: { ...upload, status: 'completed-with-failures', done: 1, failed: 1 },
    });
    await again;
  });

  it.each([
    ['/uploads?name=a&name=b', 'several'],
    ['/uploads?name=a%00b', '"a\\u0000b"'],
    ['/uploads?name=%20', 'nothing'],
  ])('cannot be named as in %s', async (path, got) => {
    const expected = 'name: expected one text without NUL characters, as in ?name=users.csv';
    expect(await answerTo(path, HEADER + row(1), {})).toEqual([400, `${expected}, got ${got}`]);
  });

  it.each([
    ['GET', ''],
    ['GET', '/failed'],
    ['POST', '/process'],
  ])('that nobody knows is not found: %s /uploads/:id%s', async (method, path) => {
    for (const id of ['nothing', '0d4e6a83-3a0c-4c2b-8f53-1f6f4d3b9a11']) {
      const url = `/uploads/${id}${path}`;
      const { status, body } = await (method === 'GET'
        ? service.get<ErrorAnswer>(url)
        : service.post<ErrorAnswer>(url));
      expect([status, body.message]).toEqual([404, `Unknown upload "${id}"`]);
    }
  });
});

const HOW_TO_SEND = "curl -H 'content-type: text/csv' --data-binary @users.csv";

describe('the content type of an upload', () => {
  it.each(['text/csv; charset=utf-8', 'TEXT/CSV', 'text/plain', 'application/octet-stream'])(
    'may be %s',
    async (type) => {
      expect(await answerTo('/uploads', HEADER + rows(2), { 'content-type': type })).toEqual([201, 2]);
    },
  );

  it('may be missing', async () => {
    // Of bytes, `fetch` says no type by itself.
    expect(await answerTo('/uploads', Uint8Array.from(Buffer.from(HEADER + row(1))), {})).toEqual([201, 1]);
  });

  const form = { 'content-type': 'application/x-www-form-urlencoded' };

  it("may be curl's own, as long as the file has its line breaks", async () => {
    expect(await answerTo('/uploads', HEADER + rows(5_000), form)).toEqual([201, 5_000]);
    expect(await answerTo('/uploads', (HEADER + rows(3)).replaceAll('\n', '\r'), form)).toEqual([201, 3]);
    const expected = 'Expected a file with line breaks, got one without; curl -d takes them out';
    for (const count of [1, 5_000]) {
      expect(await answerTo('/uploads', (HEADER + rows(count)).replaceAll('\n', ''), form)).toEqual([
        400,
        `${expected}, ${HOW_TO_SEND} does not`,
      ]);
    }
    expect(await answerTo('/uploads', '', form)).toEqual([
      400,
      'line 1: expected a header line, got an empty file',
    ]);
  });

  it.each(['application/json', 'multipart/form-data; boundary=x', 'application/gzip'])(
    'cannot be %s, of which nothing is stored',
    async (type) => {
      const [name] = type.split(';');
      expect(await answerTo('/uploads', HEADER + row(1), { 'content-type': type })).toEqual([
        415,
        `content-type: expected text/csv, got ${name}; send a file by ${HOW_TO_SEND}`,
      ]);
      expect(await uploadStatuses()).toEqual([]);
    },
  );
});

describe('the content encoding of an upload', () => {
  const csv = { 'content-type': 'text/csv' };

  it.each(['gzip', 'X-GZip'])('may be %s', async (encoding) => {
    const file = Uint8Array.from(gzipSync(HEADER + rows(5_000)));
    const headers = { ...csv, 'content-encoding': encoding };
    expect(await answerTo('/uploads', file, headers)).toEqual([201, 5_000]);
    expect(await query('SELECT max(number) FROM worker_upload_rows')).toEqual([{ max: 5_000 }]);
  });

  it('must be true', async () => {
    const whole = gzipSync(HEADER + rows(2_500));
    const headers = { ...csv, 'content-encoding': 'gzip' };
    const expected = 'content-encoding: expected a gzip file, got';
    expect(await answerTo('/uploads', HEADER + row(1), headers)).toEqual([
      400,
      `${expected} bytes that are none`,
    ]);
    expect(await answerTo('/uploads', Uint8Array.from(whole.subarray(0, -200)), headers)).toEqual([
      400,
      `${expected} one that ends too early`,
    ]);
    expect([await uploadStatuses(), await rowsStored()]).toEqual([['aborted', 'aborted'], 0]);
  });

  it.each(['br', 'gzip, gzip'])('cannot be %s, of which nothing is stored', async (encoding) => {
    expect(await answerTo('/uploads', HEADER + row(1), { ...csv, 'content-encoding': encoding })).toEqual([
      415,
      `content-encoding: expected gzip or none, got ${encoding}`,
    ]);
    expect(await uploadStatuses()).toEqual([]);
  });
});

const isAnswerOfStatus = (text: string) => text.includes('"message-processing"');

/** Bytes that are no text: the beginning of a zip archive, as of a spreadsheet. */
const ARCHIVE = new Uint8Array([0x50, 0x4b, 0x03, 0x04, 0xff, 0xfe, 0x00, 0x0a]);
const LATIN_1 = Uint8Array.from(Buffer.from(`${HEADER}1,a@x.example,Jörg\n`, 'latin1'));

describe('a malformed file', () => {
  it.each<[string, string | Uint8Array<ArrayBuffer>, string]>([
    ['is empty', '', 'line 1: expected a header line, got an empty file'],
    ['is no text', ARCHIVE, 'line 1: expected UTF-8 text, got bytes that are not UTF-8'],
    ['is in Latin-1', LATIN_1, 'line 2: expected UTF-8 text, got bytes that are not UTF-8'],
    ['has a NUL', `${HEADER}${row(1)}2,\0`, 'line 3: expected UTF-8 text, got a NUL byte'],
    [
      'lacks a column',
      HEADER.replace(',plan', '') + row(1),
      `line 1: expected a header with the columns ${USER_COLUMNS.join(', ')}, got "${USER_COLUMNS.slice(0, -1).join(',')}" without plan`,
    ],
    ['has a column twice', `plan,${HEADER}`, 'line 1: expected each column once, got plan more than once'],
    [
      'never closes a quote',
      `${HEADER}${row(1)}2,"b@x.example,B\n${row(3)}`,
      'line 3: expected a closing quote, got the end of the file',
    ],
    [
      'goes on after a closing quote',
      `${HEADER}1,"a"b,A\n`,
      'line 2: expected a comma or the end of the line after a closing quote, got other text',
    ],
    [
      'has a quote within a cell',
      `${HEADER}${rows(2_500)}2501,a"b,A\n`,
      'line 2502: expected quotes around a whole cell, got a quote inside an unquoted cell',
    ],
    [
      'has a row without an end',
      `${HEADER}1,${'a'.repeat(70_000)}`,
      'line 2: expected a row of at most 65536 bytes, got a longer one',
    ],
  ])('that %s is refused by its line, and nothing of it is ever worked on', async (_, file, message) => {
    const { submitted } = service.jobs.counts('user-processing');
    const { status, body } = await service.post<ErrorAnswer>('/uploads', file);
    expect([status, body.message]).toEqual([400, message]);

    const [upload, ...others] = await query<{ id: string; status: string }>(
      'SELECT id, status FROM worker_uploads',
    );
    expect([upload!.status, others]).toEqual(['aborted', []]);
    const refused = await service.post<ErrorAnswer>(`/uploads/${upload!.id}/process`);
    expect([refused.status, refused.body.message]).toEqual([
      409,
      `Upload "${upload!.id}": expected one that was received in full, got one that is aborted`,
    ]);
    expect(await query('SELECT number FROM worker_upload_rows')).toEqual([]);
    expect(service.jobs.counts('user-processing').submitted).toBe(submitted);

    const { id } = await uploadFile(HEADER + row(1));
    expect(await processUpload(id)).toMatchObject({ status: 'completed', done: 1 });
  });

  it.each([
    ['as it is', (text: string) => Buffer.from(text), []],
    ['compressed', gzipSync, ['content-encoding: gzip']],
    ['that is not compressed as it says', (text: string) => Buffer.from(text), ['content-encoding: gzip']],
  ])('leaves the connection to what comes after it: %s', async (_, encode, headers) => {
    const file = encode(`${HEADER}1,"a"b,A\n${rows(20_000)}`);
    const socket = await startUpload(file, { headers, length: file.length });
    socket.write('GET /status HTTP/1.1\r\nhost: x\r\n\r\n');
    let answers = '';
    socket.on('data', (piece: Buffer) => (answers += piece.toString()));
    expect(await until(async () => answers, isAnswerOfStatus, LIMIT_MS)).toMatch(
      /^HTTP\/1.1 400 [^]*HTTP\/1.1 200 [^]*/,
    );
  });

  it('is refused before all of it has come', async () => {
    const socket = await startUpload(`${HEADER}1,"a"b,A\n${rows(100)}`);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1.1 400 [^]*line 2: expected a comma/);
    socket.destroy();
  });
});

const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

interface SendingOptions {
  readonly to?: TestService;
  readonly headers?: readonly string[];
  readonly length?: number;
}

/** Sends the beginning of a file that is said to be much longer. */
async function startUpload(
  file: string | Uint8Array,
  { to = service, headers = [], length = 100_000_000 }: SendingOptions = {},
): Promise<Socket> {
  const { hostname, port } = new URL(to.url);
  const socket = connect(Number(port), hostname);
  sockets.push(socket);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  const head = ['POST /uploads?name=half.csv HTTP/1.1', `host: ${hostname}`, `content-length: ${length}`];
  socket.write([...head, ...headers, '', ''].join('\r\n'));
  socket.write(file);
  return socket;
}

async function rowsStored(): Promise<number> {
  const [counted] = await query<{ count: number }>('SELECT count(*)::int FROM worker_upload_rows');
  return counted!.count;
}

async function uploadStatuses(): Promise<string[]> {
  return (await query<{ status: string }>('SELECT status FROM worker_uploads')).map(({ status }) => status);
}

describe('an upload that is cut off in the middle', () => {
  const file = HEADER + rows(2_500);

  it.each([
    ['as it is', file, []],
    ['compressed', gzipSync(file).subarray(0, -9), ['content-encoding: gzip']],
  ])('is aborted, leaves no row, is no error, and the service works on: %s', async (_, sent, headers) => {
    const before = service.log.length;
    const socket = await startUpload(sent, { headers });
    expect(await until(rowsStored, (count) => count > 0, LIMIT_MS)).toBeGreaterThan(0);
    socket.destroy();
    const logged = async () => service.log.slice(before).map((line) => JSON.parse(line) as LogLine);
    expect(await until(logged, ({ length }) => length > 0, LIMIT_MS)).toEqual([
      expect.objectContaining({
        level: 40,
        msg: 'The sender of "half.csv" broke off; what came in of the file is removed',
      }),
    ]);
    expect([await uploadStatuses(), await rowsStored()]).toEqual([['aborted'], 0]);

    const { id } = await uploadFile(HEADER + row(1));
    expect(await processUpload(id)).toMatchObject({ status: 'completed', done: 1 });
  });

  it('by the end of the service is aborted as well, and does not hold up the end', async () => {
    const ending = await startTestService(database.url);
    const socket = await startUpload(file, { to: ending });
    await until(rowsStored, (count) => count > 0, LIMIT_MS);
    const closed = once(socket, 'close');
    await ending.app.close();
    await closed;
    expect([await uploadStatuses(), await rowsStored()]).toEqual([['aborted'], 0]);
    expect(ending.log.filter((line) => (JSON.parse(line) as LogLine).level > 30)).toEqual([]);
  });
});

describe('a sender who goes on though the file is refused', () => {
  it.each([
    ['as it is malformed', async () => undefined, 400],
    ['as the service ends', (ending: TestService) => ending.jobs.shutdown(), 503],
  ])('does not hold up the end: %s', async (_, prepare, status) => {
    const ending = await startTestService(database.url);
    await prepare(ending);
    const socket = await startUpload(`${HEADER}1,"a"b,A\n${rows(2_500)}`, { to: ending });
    expect(String(await once(socket, 'data'))).toContain(`HTTP/1.1 ${status} `);
    const closed = once(socket, 'close');
    socket.resume();
    await ending.app.close();
    await closed;
  });
});

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
