import { BadRequestException, Injectable, type PipeTransform } from '@nestjs/common';
import { describeValue } from './invalid-input.js';

/** Entries that a list has at the most. */
const MOST = 1_000;

/** How many entries of a list are wanted, 1 or more. Without a number, as many as it may have. */
@Injectable()
export class ListLimitPipe implements PipeTransform<unknown, number> {
  transform(value: unknown, { data: name }: { readonly data?: string | undefined }): number {
    if (value === undefined) return MOST;
    const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : NaN;
    if (number >= 1 && number <= MOST) return number;
    throw new BadRequestException(
      `${name}: expected a whole number from 1 to ${MOST}, got ${describeValue(value)}`,
    );
  }
}
