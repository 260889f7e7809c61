import { spawn, type SpawnOptions } from 'node:child_process';

export interface CommandResult {
  readonly succeeded: boolean;
  /** What it printed on both streams, or why it could not be run at all. */
  readonly output: string;
}

/** Runs a command to its end. It never rejects: a command that does not exist has not succeeded either. */
export function runCommand(
  command: string,
  args: readonly string[],
  options: Pick<SpawnOptions, 'cwd' | 'env' | 'uid' | 'gid'> = {},
): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.once('error', (error) => resolve({ succeeded: false, output: error.message }));
    child.once('close', (code) => resolve({ succeeded: code === 0, output: output.trim() }));
  });
}
