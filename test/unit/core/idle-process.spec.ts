import { afterEach, describe, expect, it } from '@jest/globals';
import { startTypescriptProgram, type TypescriptProgram } from '../../support/typescript-program.js';
import type { State } from './idle-process.program.js';

const programs: TypescriptProgram[] = [];

afterEach(async () => {
  for (const program of programs.splice(0)) await program.kill();
});

function start(state: State): TypescriptProgram {
  const program = startTypescriptProgram(new URL('idle-process.program.ts', import.meta.url), [state]);
  programs.push(program);
  return program;
}

describe('a Node process', () => {
  it('is not kept alive by workers that have nothing to do, however long they stay', async () => {
    const program = start('has idle workers');
    expect(await program.nextLine()).toBe('item ends');
    expect(await program.ended).toEqual({ code: 0, signal: null });
  });

  it('is kept alive by an item that came while no worker could start', async () => {
    const program = start('has work, but no worker yet');
    expect(await program.nextLine()).toBe('not yet');
    expect(await program.nextLine()).toBe('item ends');
    expect(await program.ended).toEqual({ code: 0, signal: null });
  });
});
