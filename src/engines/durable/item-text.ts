import { jsonText, NotJsonError } from '../../core/json-text.js';
import { InvalidPayloadError, ItemTooLargeError } from './durable-errors.js';

/** A character of a text takes up to three bytes. */
export const BYTES_OF_CHARACTER = 3;

/**
 * A payload as it is stored.
 *
 * @param place the item's place in its submission, from 0
 * @throws InvalidPayloadError, ItemTooLargeError
 */
export function itemText(payload: unknown, type: string, place: number, maxItemBytes: number): string {
  const text = written(payload, type, place);
  if (text.length * BYTES_OF_CHARACTER <= maxItemBytes) return text;
  const bytes = Buffer.byteLength(text);
  if (bytes > maxItemBytes) throw new ItemTooLargeError(type, place, bytes, maxItemBytes);
  return text;
}

function written(payload: unknown, type: string, place: number): string {
  try {
    return jsonText(payload);
  } catch (error) {
    if (!(error instanceof NotJsonError)) throw error;
    throw new InvalidPayloadError(type, place, error.message, { cause: error });
  }
}
