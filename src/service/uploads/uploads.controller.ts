import { randomUUID } from 'node:crypto';
import { finished } from 'node:stream';
import {
  BadRequestException,
  Controller,
  Get,
  HttpCode,
  Logger,
  NotFoundException,
  Param,
  Post,
  Query,
  Req,
  type BeforeApplicationShutdown,
} from '@nestjs/common';
import type { Request } from 'express';
import { DataSource, MoreThan } from 'typeorm';
import {
  JobProcess,
  ProcessClosedError,
  UnknownUploadError,
  type Upload,
  type UploadRun,
} from '../../index.js';
import { TypeOrmUploadStore, WorkerUploadRow } from '../../typeorm.js';
import { describeValue } from '../invalid-input.js';
import { PositionPipe } from '../position.pipe.js';
import { parseUserFile } from '../users/parse-user-file.js';
import type { UserRow } from '../users/user-processing.worker.js';
import { fileBody } from './file-body.js';
import { ListLimitPipe } from '../list-limit.pipe.js';

type FailedRow = Pick<WorkerUploadRow, 'number' | 'error' | 'attempts' | 'payload'>;

/** User files come in here, and are worked on by `UserProcessingWorker`. */
@Controller('uploads')
export class UploadsController implements BeforeApplicationShutdown {
  private readonly log = new Logger('Uploads');
  /** The requests that are coming in, those that are refused by now included. */
  private readonly sending = new Set<Request>();
  private readonly receiving = new Set<Promise<Upload>>();

  constructor(
    private readonly jobs: JobProcess,
    private readonly uploads: TypeOrmUploadStore,
    private readonly dataSource: DataSource,
  ) {}

  /** Stores the rows of the CSV file in the request's body as they come. */
  @Post()
  async receive(@Req() request: Request, @Query('name') name: unknown = 'users.csv'): Promise<Upload> {
    this.sending.add(request);
    finished(request, () => this.sending.delete(request));
    if (this.jobs.isClosed) throw new ProcessClosedError('POST /uploads');
    requireName(name);
    const rows = userRows(fileBody(request));
    const upload = this.uploads.receive({ name, type: 'user-processing' }, rows);
    this.receiving.add(upload);
    try {
      return await upload;
    } catch (error) {
      throw this.refusal(error, request, name);
    } finally {
      this.receiving.delete(upload);
    }
  }

  /** A sender that takes its time must not hold up the end. What came in of its file is removed again. */
  async beforeApplicationShutdown(): Promise<void> {
    for (const request of this.sending) request.destroy(new ProcessClosedError('POST /uploads'));
    await Promise.allSettled(this.receiving);
  }

  /** Starts working on the rows that have not ended. */
  @Post(':id/process')
  @HttpCode(202)
  async start(@Param('id') id: string): Promise<Upload> {
    return underWay(await this.jobs.processUserUpload(id));
  }

  @Get(':id')
  async status(@Param('id') id: string): Promise<Upload> {
    const upload = await this.uploads.find(id);
    if (upload === undefined) throw new NotFoundException(new UnknownUploadError(id).message);
    return upload;
  }

  /** The rows that failed, with the reasons: those after the number `after`, `limit` at the most. */
  @Get(':id/failed')
  async failed(
    @Param('id') id: string,
    @Query('after', PositionPipe) after: number,
    @Query('limit', ListLimitPipe) limit: number,
  ): Promise<FailedRow[]> {
    await this.status(id);
    return this.dataSource.getRepository(WorkerUploadRow).find({
      select: { number: true, error: true, attempts: true, payload: true },
      where: { uploadId: id, state: 'failed', number: MoreThan(after) },
      order: { number: 'ASC' },
      take: limit,
    });
  }

  /** What is answered when a file could not be stored for this error. */
  private refusal(error: unknown, request: Request, name: string): unknown {
    const isCutOff = error === request.errored && !(error instanceof ProcessClosedError);
    if (!isCutOff) return error;
    this.log.warn(`The sender of ${describeValue(name)} broke off; what came in of the file is removed`);
    // Nobody is there to read it; as an answer it is no error of the service's.
    return new BadRequestException('Expected the whole file, got a part of it');
  }
}

function requireName(name: unknown): asserts name is string {
  // Postgres stores no NUL.
  if (typeof name === 'string' && name.trim() !== '' && !name.includes('\0')) return;
  const got = Array.isArray(name) ? 'several' : describeValue(name);
  throw new BadRequestException(
    `name: expected one text without NUL characters, as in ?name=users.csv, got ${got}`,
  );
}

/** An upload as it stands while its rows are worked on; one of which no row was left stays what it was. */
function underWay(run: UploadRun): Upload {
  const { upload } = run;
  const { total, done, failed } = run.progress();
  const isLeftAsItWas = upload.status.startsWith('completed') && upload.done + upload.failed === total;
  return { ...upload, status: isLeftAsItWas ? upload.status : 'processing', done, failed };
}

async function* userRows(body: AsyncIterable<Uint8Array>): AsyncGenerator<UserRow, void, undefined> {
  const file = randomUUID();
  for await (const row of parseUserFile(body)) yield { file, ...row };
}
