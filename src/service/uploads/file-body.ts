import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { BadRequestException, UnsupportedMediaTypeException } from '@nestjs/common';
import { bodyBytes } from './body-bytes.js';
import { requireLineBreaks } from './line-breaks.js';

/** What curl says of any file by itself. */
const FORM = 'application/x-www-form-urlencoded';

/** What is said of a CSV file: the right thing, nothing, or what clients say that know no better. */
const TAKEN_TYPES = new Set(['text/csv', '', 'text/plain', 'application/octet-stream', FORM]);

const HOW_TO_SEND = "curl -H 'content-type: text/csv' --data-binary @users.csv";

/**
 * The bytes of the CSV file that a request carries as its body; of a compressed one, decompressed as they come.
 *
 * @throws UnsupportedMediaTypeException when the body is something else, by what its sender says of it
 */
export function fileBody(request: IncomingMessage): AsyncIterable<Uint8Array> {
  const type = contentType(request);
  if (!TAKEN_TYPES.has(type)) {
    throw new UnsupportedMediaTypeException(
      `content-type: expected text/csv, got ${type}; send a file by ${HOW_TO_SEND}`,
    );
  }
  const bytes = decoded(request);
  return type === FORM ? requireLineBreaks(bytes, HOW_TO_SEND) : bytes;
}

function contentType({ headers }: IncomingMessage): string {
  const [type = ''] = (headers['content-type'] ?? '').split(';');
  return type.trim().toLowerCase();
}

function decoded(request: IncomingMessage): AsyncIterable<Uint8Array> {
  const encoding = (request.headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  if (encoding === 'identity') return bodyBytes(request, new PassThrough());
  if (encoding === 'gzip' || encoding === 'x-gzip') return decompressed(request);
  throw new UnsupportedMediaTypeException(`content-encoding: expected gzip or none, got ${encoding}`);
}

async function* decompressed(request: IncomingMessage): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* bodyBytes(request, createGunzip());
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (!code.startsWith('Z_')) throw error;
    const got = code === 'Z_BUF_ERROR' ? 'one that ends too early' : 'bytes that are none';
    throw new BadRequestException(`content-encoding: expected a gzip file, got ${got}`);
  }
}
