import { Controller, Get, HttpCode, NotFoundException, Param, Post, Query } from '@nestjs/common';
import { JobProcess, UnknownWorkerTypeError, type WorkCounts } from '../index.js';
import { ListLimitPipe } from './list-limit.pipe.js';
import { PositionPipe } from './position.pipe.js';

/** One dead letter as it is shown: the error as text. */
interface ShownDeadLetter {
  readonly id: string;
  /** For the next page: `?after=`. */
  readonly sequence: number;
  readonly type: string;
  readonly reason: string;
  readonly error: string;
  readonly attempts: number;
  readonly diedAt: string;
  readonly payload: unknown;
}

/** What the workers do, and what they could not do. */
@Controller()
export class StatusController {
  constructor(private readonly jobs: JobProcess) {}

  @Get('status')
  status(): Record<string, WorkCounts & { readonly workers: number }> {
    return Object.fromEntries(
      this.jobs.types.map((type) => [
        type,
        { workers: this.jobs.pool.workerCount(type), ...this.jobs.counts(type) },
      ]),
    );
  }

  @Get('dead-letters/:type')
  async deadLetters(
    @Param('type') type: string,
    @Query('after', PositionPipe) after: number,
    @Query('limit', ListLimitPipe) limit: number,
  ): Promise<ShownDeadLetter[]> {
    this.requireType(type);
    const letters = await this.jobs.deadLetters({ type, after, limit });
    return letters.map(({ id, sequence, reason, error, attempts, diedAtMs, payload }) => ({
      id,
      sequence,
      type,
      reason,
      error: error.message,
      attempts,
      diedAt: new Date(diedAtMs).toISOString(),
      payload,
    }));
  }

  /** Runs all dead letters of a type again. */
  @Post('dead-letters/:type/redrive')
  @HttpCode(202)
  async redrive(@Param('type') type: string): Promise<{ readonly redriven: number }> {
    this.requireType(type);
    return { redriven: await this.jobs.redriveDeadLetters({ type }) };
  }

  private requireType(type: string): void {
    const { types } = this.jobs;
    if (!types.includes(type)) throw new NotFoundException(new UnknownWorkerTypeError(type, types).message);
  }
}
