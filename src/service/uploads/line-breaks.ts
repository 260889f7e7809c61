import { BadRequestException } from '@nestjs/common';

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** No header of a file is as long. */
const FIRST_LINE_BYTES = 16 * 1_024;

/**
 * Passes a file on, but not one that has lost its line breaks: what is wrong with it would be told of its first line,
 * and not of the way it was sent.
 */
export async function* requireLineBreaks(
  bytes: AsyncIterable<Uint8Array>,
  howToSend: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  let length = 0;
  let hasLineBreak = false;
  for await (const piece of bytes) {
    length += piece.length;
    hasLineBreak ||= piece.includes(LINE_FEED) || piece.includes(CARRIAGE_RETURN);
    if (!hasLineBreak && length > FIRST_LINE_BYTES) throw lostLineBreaks(howToSend);
    yield piece;
  }
  if (!hasLineBreak && length > 0) throw lostLineBreaks(howToSend);
}

function lostLineBreaks(howToSend: string): BadRequestException {
  return new BadRequestException(
    `Expected a file with line breaks, got one without; curl -d takes them out, ${howToSend} does not`,
  );
}
