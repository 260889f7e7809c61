import { afterEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import type { Upload } from '../../../src/index.js';
import { USER_COLUMNS } from '../../../src/service/users/user-columns.js';
import { until } from '../../support/until.js';
import { startTestService, type TestService } from './running-service.js';
import {
  answerTo,
  database,
  HEADER,
  processUpload,
  query,
  row,
  rows,
  service,
  uploadFile,
  type ErrorAnswer,
} from './shared-service.js';

const LIMIT_MS = 10_000;

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

async function emails(): Promise<string[]> {
  return (await query<{ email: string }>('SELECT email FROM users ORDER BY id')).map(({ email }) => email);
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
    expect((await service.get(`/uploads/${id}/failed?limit=1`)).body).toEqual(body.slice(0, 1));
    expect((await service.get(`/uploads/${id}/failed?after=1&limit=1000`)).body).toEqual(body.slice(1));
  });

  it.each([
    ['after=3000000000', 'after: expected a whole number from 0 to 2147483647, got "3000000000"'],
    ['limit=-1', 'limit: expected a whole number from 1 to 1000, got "-1"'],
    ['limit=0', 'limit: expected a whole number from 1 to 1000, got "0"'],
    ['limit=1001', 'limit: expected a whole number from 1 to 1000, got "1001"'],
    ['limit=1.5', 'limit: expected a whole number from 1 to 1000, got "1.5"'],
    ['limit=', 'limit: expected a whole number from 1 to 1000, got nothing'],
    ['limit=1&limit=2', 'limit: expected a whole number from 1 to 1000, got an array'],
  ])('has no list of failed rows with ?%s', async (asked, message) => {
    const { id } = await uploadFile(HEADER);
    const { status, body } = await service.get<ErrorAnswer>(`/uploads/${id}/failed?${asked}`);
    expect([status, body.message]).toEqual([400, message]);
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
