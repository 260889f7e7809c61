import { isUtf8 } from 'node:buffer';
import { MalformedFileError } from './malformed-file-error.js';

const LINE_FEED = 0x0a;
const NUL = 0x00;

/**
 * Passes bytes on as they come and ends with a {@link MalformedFileError} at the first line that is not UTF-8
 * text: a spreadsheet, an archive, a file in Latin-1 or UTF-16. Without it such bytes would be read as
 * replacement characters, and be stored.
 */
export async function* requireUtf8Text(
  source: AsyncIterable<Uint8Array | string>,
): AsyncGenerator<Buffer, void, undefined> {
  let line = 1;
  let unfinished = Buffer.alloc(0);
  for await (const piece of source) {
    const bytes = Buffer.concat([unfinished, Buffer.from(piece as Uint8Array)]);
    const end = endOfLastCharacter(bytes);
    const text = bytes.subarray(0, end);
    if (!isUtf8(text) || text.includes(NUL)) throw notText(text, line);
    unfinished = bytes.subarray(end);
    line += countLineFeeds(text);
    yield text;
  }
  if (unfinished.length > 0) throw notText(unfinished, line);
}

/** Where the last whole character ends: a character may be split between two pieces. */
function endOfLastCharacter(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    const isContinuation = (byte & 0xc0) === 0x80;
    if (isContinuation) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}

function notText(bytes: Buffer, firstLine: number): MalformedFileError {
  let line = firstLine;
  for (let start = 0; start < bytes.length; line++) {
    const feed = bytes.indexOf(LINE_FEED, start);
    const end = feed === -1 ? bytes.length : feed;
    const content = bytes.subarray(start, end);
    if (!isUtf8(content)) return new MalformedFileError(line, 'UTF-8 text', 'bytes that are not UTF-8');
    if (content.includes(NUL)) return new MalformedFileError(line, 'UTF-8 text', 'a NUL byte');
    start = end + 1;
  }
  return new MalformedFileError(line, 'UTF-8 text', 'bytes that are not UTF-8');
}

function countLineFeeds(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(LINE_FEED); at !== -1; at = bytes.indexOf(LINE_FEED, at + 1)) count++;
  return count;
}
