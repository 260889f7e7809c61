import { describe, expect, test } from '@jest/globals';
import { ChunkBuilder } from '../../../src/engines/durable/chunk-builder.js';
import { chunkId, itemsOfChunk, readChunk } from '../../../src/engines/durable/chunk-format.js';
import { UnreadableChunkError } from '../../../src/engines/durable/durable-errors.js';

const limits = { chunkSize: 3, maxChunkBytes: 20 };

describe('a chunk', () => {
  test('says whose its items are in runs, and of single items only what they do not share', () => {
    const builder = new ChunkBuilder({ chunkSize: 10, maxChunkBytes: Infinity });
    builder.addSingle('"a"', 'Ab', 17);
    builder.addSingle('"b"', 'Ab', 18);
    builder.addSingle('"c"', 'Ab', 20);
    builder.add('{"to":"d"}', 'job', 'Cd-1', 5);
    builder.add('null', 'job', 'Cd-1', 6, { a: 2 });
    builder.add('[1,2]', 'loose', 'Cd-1', 7);
    const text = builder.build();
    expect(JSON.parse(text)).toEqual({
      v: 1,
      of: [
        ['jobs', 'Ab', 17, 2],
        ['jobs', 'Ab', 20, 1],
        ['job', 'Cd-1', 5, 2],
        ['loose', 'Cd-1', 7, 1],
      ],
      heads: { 4: { a: 2 } },
      items: ['a', 'b', 'c', { to: 'd' }, null, [1, 2]],
    });
    expect(readChunk('id', JSON.parse(text))).toEqual(JSON.parse(text));
  });

  test('has no heads when nothing is to be said of single items', () => {
    const builder = new ChunkBuilder(limits);
    builder.add('1', 'job', 'Ab-1', 0);
    expect(builder.build()).toBe('{"v":1,"of":[["job","Ab-1",0,1]],"items":[1]}');
  });

  test('is full by items or by length, and takes a longer one alone', () => {
    const builder = new ChunkBuilder(limits);
    expect(builder.isFullFor('x'.repeat(100))).toBe(false);
    builder.add('"0123456789"', 'job', 'Ab-1', 0);
    expect(builder.isFullFor('"01234567"')).toBe(true);
    expect(builder.isFullFor('"0123"')).toBe(false);
    builder.add('1', 'job', 'Ab-1', 1);
    builder.add('2', 'job', 'Ab-1', 2);
    expect(builder.isFullFor('3')).toBe(true);
  });

  test.each([[undefined], [null], [{ v: 2 }], [{ items: [] }], ['text']])(
    'of another form (%p) is not read',
    (content) => {
      expect(() => readChunk('Ab.1.2', content)).toThrow(UnreadableChunkError);
    },
  );

  test('tells by its id how many items it has', () => {
    expect(itemsOfChunk(chunkId('A-b_9', 1_000, 512))).toBe(512);
    expect([itemsOfChunk('17'), itemsOfChunk('other'), itemsOfChunk('a.b.0')]).toEqual([17, 1, 1]);
  });
});
