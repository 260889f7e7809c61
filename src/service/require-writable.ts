import { open, rm } from 'node:fs/promises';
import { InvalidConfigError } from './config/service-config.js';

/**
 * What is written at the end had better be told of at the start. Leaves no file that was not there.
 *
 * @param files by the variable or argument that names them
 * @throws InvalidConfigError that names all that can't be written
 */
export async function requireWritable(files: Readonly<Record<string, string | undefined>>): Promise<void> {
  const problems: string[] = [];
  for (const [name, file] of Object.entries(files)) {
    if (file === undefined) continue;
    try {
      await tryToOpen(file);
    } catch (error) {
      problems.push(`${name}: expected a file that can be written, got ${(error as Error).message}`);
    }
  }
  if (problems.length > 0) throw new InvalidConfigError(problems);
}

async function tryToOpen(file: string): Promise<void> {
  try {
    await (await open(file, 'ax')).close();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    await (await open(file, 'a')).close();
    return;
  }
  await rm(file);
}
