import { afterAll, beforeAll, beforeEach, expect } from '@jest/globals';
import { DataSource } from 'typeorm';
import type { Upload } from '../../../src/index.js';
import { USER_COLUMNS } from '../../../src/service/users/user-columns.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { startTestService, type TestService } from './running-service.js';

export let database: TestDatabase;
/** That of the test file. What its database holds is gone before each test. */
export let service: TestService;
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

/** Of a file of users. */
export const HEADER = `${USER_COLUMNS.join(',')}\n`;
export const row = (number: number, plan = 'free') =>
  `${number},user-${number}@x.example,User ${number},1990-01-01,DE,,2020-01-01T00:00:00Z,${plan}\n`;
export const rows = (count: number) => Array.from({ length: count }, (_, index) => row(index + 1)).join('');

export interface ErrorAnswer {
  readonly statusCode: number;
  readonly message: string;
}

export const query = <Row>(sql: string) => dataSource.query<Row[]>(sql);

export async function uploadFile(text: string): Promise<Upload> {
  const { status, body } = await service.post<Upload>('/uploads?name=list.csv', text);
  expect(status).toBe(201);
  return body;
}

/** The status, and why the request was refused or how many rows came in. */
export const answerTo = async (
  path: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string>,
) => {
  const answer = await service.post<ErrorAnswer & Upload>(path, body, headers);
  return [answer.status, answer.body.message ?? answer.body.rows];
};

/** Resolves with how the work on an upload ended. */
export async function processUpload(id: string) {
  const ended = service.next('uploadEnded');
  expect((await service.post(`/uploads/${id}/process`)).status).toBe(202);
  return ended;
}
