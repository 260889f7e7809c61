import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

const TYPESCRIPT = new URL('./typescript.mjs', import.meta.url).href;

/** A TypeScript file that runs in a process of its own. */
export interface TypescriptProgram {
  readonly pid: number;
  /** The next line that it prints. Fails when it ends without another one. */
  nextLine(): Promise<string>;
  /** Signals it and, as Ctrl-C in a terminal does, every process of its group. */
  signalGroup(signal: NodeJS.Signals): void;
  kill(): Promise<void>;
  /** How it ended, once it has. */
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

export function startTypescriptProgram(file: URL, args: readonly string[] = []): TypescriptProgram {
  const child = spawn(process.execPath, ['--import', TYPESCRIPT, fileURLToPath(file), ...args], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const pid = child.pid;
  if (pid === undefined)
    throw new Error(`Expected to start ${file.href}, but ${process.execPath} cannot be run.`);
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal }));
  return {
    pid,
    nextLine: linesOf(child, file),
    signalGroup: (signal) => process.kill(-pid, signal),
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
    ended,
  };
}

function linesOf(child: ChildProcessByStdio<null, Readable, Readable>, file: URL): () => Promise<string> {
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return async () => {
    const { done, value } = await lines.next();
    if (done)
      throw new Error(`Expected another line from ${file.href}, but it ended. It printed: ${errors.trim()}`);
    return value;
  };
}
