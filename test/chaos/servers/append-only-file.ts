import { readdirSync, statSync, truncateSync } from 'node:fs';
import path from 'node:path';

const LOOK_MS = 50;

interface Look {
  readonly file: string;
  readonly bytes: number;
  readonly atMs: number;
}

/**
 * Remembers how long the append-only file of a Redis was a while ago, to cut it back to that length: a kill of the process
 * leaves with the operating system what was written and not yet flushed to the disk; a power cut does not.
 */
export class AppendOnlyFileWatch {
  private looks: Look[] = [];
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly folder: string,
    private readonly rememberMs: number,
  ) {
    this.timer = setInterval(() => this.look(), LOOK_MS);
  }

  /** Takes back what was appended in the last `lostMs`. Only while the Redis does not run. @returns how many bytes */
  cutBack(lostMs: number): number {
    const newest = newestFile(this.folder);
    const before = this.looks.findLast(({ atMs }) => atMs <= Date.now() - lostMs);
    if (newest === undefined || before?.file !== newest) return 0;
    const { size } = statSync(newest);
    truncateSync(newest, before.bytes);
    this.looks = [];
    return size - before.bytes;
  }

  close(): void {
    clearInterval(this.timer);
  }

  private look(): void {
    const file = newestFile(this.folder);
    if (file === undefined) return;
    const atMs = Date.now();
    this.looks = this.looks.filter((look) => look.atMs > atMs - this.rememberMs);
    this.looks.push({ file, bytes: statSync(file).size, atMs });
  }
}

/** The file that a Redis of version 7 or later appends to; its manifest and base stay as they are. */
function newestFile(folder: string): string | undefined {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const name = files.find((file) => file.endsWith('.incr.aof'));
  return name === undefined ? undefined : path.join(folder, name);
}
