import { closeSync, openSync, writeSync } from 'node:fs';
import path from 'node:path';
import type { LedgerEntry } from './entries.js';

/**
 * Writes what happens in one process to a file of its own. What is written outlives a kill -9 of the process at once: each
 * line is with the operating system when `write` returns.
 */
export class LedgerWriter {
  private readonly file: number;

  /** @param writer names the file; no two processes may have the same */
  constructor(folder: string, writer: string) {
    this.file = openSync(path.join(folder, `${writer}.jsonl`), 'a');
  }

  write(entry: LedgerEntry): void {
    const line = Buffer.from(`${JSON.stringify(entry)}\n`);
    const written = writeSync(this.file, line);
    // A second call could be cut off from the first one by a kill.
    if (written !== line.length)
      throw new Error(`Expected the ledger to take a line of ${line.length} bytes, it took ${written}`);
  }

  close(): void {
    closeSync(this.file);
  }
}
