import { BadRequestException, Injectable, type PipeTransform } from '@nestjs/common';
import { describeValue } from './invalid-input.js';

/** The largest number that Postgres has as an `integer`. */
const HIGHEST = 2_147_483_647;

/** Where a page of a list begins: after the number that the last entry of the page before it has. Without one, 0. */
@Injectable()
export class PositionPipe implements PipeTransform<unknown, number> {
  transform(value: unknown, { data: name }: { readonly data?: string | undefined }): number {
    if (value === undefined) return 0;
    const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : NaN;
    if (number <= HIGHEST) return number;
    throw new BadRequestException(
      `${name}: expected a whole number from 0 to ${HIGHEST}, got ${describeValue(value)}`,
    );
  }
}
