import { openSync, writeSync } from 'node:fs';

export const BYTES_PER_RUN = 4;

/** Writes the ids of items down as they are run, each before its handler ends: a killed process leaves them all. */
export function openRunsFile(file) {
  const descriptor = openSync(file, 'a');
  const bytes = Buffer.alloc(BYTES_PER_RUN);
  return (id) => {
    bytes.writeUInt32LE(id);
    writeSync(descriptor, bytes);
  };
}
