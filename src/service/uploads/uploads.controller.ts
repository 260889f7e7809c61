import { randomUUID } from 'node:crypto';
import {
  BadRequestException,
  Controller,
  Get,
  HttpCode,
  NotFoundException,
  Param,
  Post,
  Query,
  Req,
  type BeforeApplicationShutdown,
} from '@nestjs/common';
import type { Request } from 'express';
import { DataSource } from 'typeorm';
import {
  JobProcess,
  ProcessClosedError,
  UnknownUploadError,
  type Upload,
  type UploadRun,
} from '../../index.js';
import { TypeOrmUploadStore, WorkerUploadRow } from '../../typeorm.js';
import { parseUserFile } from '../users/parse-user-file.js';
import type { UserRow } from '../users/user-processing.worker.js';

/** Rows that a list of failed rows has at the most. */
const FAILED_ROWS_SHOWN = 1_000;

/** User files come in here, and are worked on by `UserProcessingWorker`. */
@Controller('uploads')
export class UploadsController implements BeforeApplicationShutdown {
  /** The uploads that are coming in, by their requests. */
  private readonly receiving = new Map<Request, Promise<Upload>>();

  constructor(
    private readonly jobs: JobProcess,
    private readonly uploads: TypeOrmUploadStore,
    private readonly dataSource: DataSource,
  ) {}

  /** Stores the rows of the CSV file in the request's body as they come. */
  @Post()
  async receive(@Req() request: Request, @Query('name') name: unknown = 'users.csv'): Promise<Upload> {
    if (this.jobs.isClosed) throw new ProcessClosedError('POST /uploads');
    // Postgres stores no NUL.
    if (typeof name !== 'string' || name.includes('\0')) {
      throw new BadRequestException('name: expected one text without NUL characters');
    }
    const upload = this.uploads.receive({ name, type: 'user-processing' }, userRows(request));
    this.receiving.set(request, upload);
    try {
      return await upload;
    } finally {
      this.receiving.delete(request);
    }
  }

  /** A sender that takes its time must not hold up the end. What came in of its file is removed again. */
  async beforeApplicationShutdown(): Promise<void> {
    for (const request of this.receiving.keys()) request.destroy();
    await Promise.allSettled(this.receiving.values());
  }

  /** Starts working on the rows that have not ended. */
  @Post(':id/process')
  @HttpCode(202)
  start(@Param('id') id: string): Promise<UploadRun> {
    return this.jobs.processUserUpload(id);
  }

  @Get(':id')
  async status(@Param('id') id: string): Promise<Upload> {
    const upload = await this.uploads.find(id);
    if (upload === undefined) throw new NotFoundException(new UnknownUploadError(id).message);
    return upload;
  }

  /** The rows that failed, with the reasons. */
  @Get(':id/failed')
  async failed(
    @Param('id') id: string,
  ): Promise<Pick<WorkerUploadRow, 'number' | 'error' | 'attempts' | 'payload'>[]> {
    await this.status(id);
    return this.dataSource.getRepository(WorkerUploadRow).find({
      select: { number: true, error: true, attempts: true, payload: true },
      where: { uploadId: id, state: 'failed' },
      order: { number: 'ASC' },
      take: FAILED_ROWS_SHOWN,
    });
  }
}

async function* userRows(body: AsyncIterable<Uint8Array>): AsyncGenerator<UserRow, void, undefined> {
  const file = randomUUID();
  for await (const row of parseUserFile(body)) yield { file, ...row };
}
