import { closeSync, openSync, readSync, readdirSync, watch, type FSWatcher } from 'node:fs';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { LedgerEntry } from './entries.js';

const READ_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

/** Reads the ledgers of all processes while they grow. */
export class LedgerReader {
  private readonly files = new Map<string, GrowingFile>();
  private readonly grown = new Set<string>();
  private readonly watcher: FSWatcher;
  private isReading = false;

  /** @param onEntries is given the new entries: those of one process in their order, those of several in any */
  constructor(
    private readonly folder: string,
    private readonly onEntries: (entries: readonly LedgerEntry[]) => void,
  ) {
    this.watcher = watch(folder, (_, file) => {
      if (file === null) for (const name of readdirSync(folder)) this.grown.add(name);
      else this.grown.add(file);
      void this.readSoon();
    });
  }

  /** Reads all that has been written by now. */
  readAll(): void {
    for (const name of readdirSync(this.folder)) this.grown.add(name);
    this.readGrown();
  }

  close(): void {
    this.watcher.close();
    for (const file of this.files.values()) file.close();
    this.files.clear();
  }

  /** A turn later, so that many lines are read at a time. */
  private async readSoon(): Promise<void> {
    if (this.isReading) return;
    this.isReading = true;
    await nextTurn();
    this.isReading = false;
    this.readGrown();
  }

  private readGrown(): void {
    const entries: LedgerEntry[] = [];
    for (const name of this.grown) {
      let file = this.files.get(name);
      if (!file) this.files.set(name, (file = new GrowingFile(path.join(this.folder, name))));
      for (const line of file.readLines()) entries.push(JSON.parse(line) as LedgerEntry);
    }
    this.grown.clear();
    if (entries.length > 0) this.onEntries(entries);
  }
}

/** The whole lines of a file, each once. */
class GrowingFile {
  private readonly file: number;
  private readonly buffer = Buffer.alloc(READ_BYTES);
  private position = 0;
  /** A line whose end has not been written yet, or never will be as its writer was killed. */
  private unfinished = Buffer.alloc(0);

  constructor(file: string) {
    this.file = openSync(file, 'r');
  }

  readLines(): string[] {
    const parts = [this.unfinished];
    for (;;) {
      const count = readSync(this.file, this.buffer, 0, READ_BYTES, this.position);
      if (count === 0) break;
      this.position += count;
      parts.push(Buffer.from(this.buffer.subarray(0, count)));
    }
    const text = Buffer.concat(parts);
    const end = text.lastIndexOf(NEWLINE) + 1;
    this.unfinished = text.subarray(end);
    return text.subarray(0, end).toString().split('\n').filter(Boolean);
  }

  close(): void {
    closeSync(this.file);
  }
}
