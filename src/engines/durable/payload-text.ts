import { jsonText, NotJsonError } from '../../core/json-text.js';
import { readChunk } from './chunk-format.js';
import type { DeadAtPlace, LeasedChunk } from './leased-chunk.js';

/** The payload at a place of a chunk. A handler may have made something of it that can't be stored: it is then read from the store again. */
export async function payloadText(chunk: LeasedChunk, place: number): Promise<string> {
  try {
    return jsonText(chunk.content.items[place]);
  } catch (error) {
    if (!(error instanceof NotJsonError)) throw error;
    return jsonText(await storedPayload(chunk, place));
  }
}

/** The dead of a chunk with payloads that can be stored. */
export function storableDead(chunk: LeasedChunk, dead: readonly DeadAtPlace[]): Promise<DeadAtPlace[]> {
  return Promise.all(
    dead.map(async (item) => {
      try {
        jsonText(item.payload);
        return item;
      } catch (error) {
        if (!(error instanceof NotJsonError)) throw error;
        return { ...item, payload: await storedPayload(chunk, item.place) };
      }
    }),
  );
}

async function storedPayload({ queue, lease: { chunkId } }: LeasedChunk, place: number): Promise<unknown> {
  return readChunk(chunkId, await queue.read(chunkId)).items[place];
}
