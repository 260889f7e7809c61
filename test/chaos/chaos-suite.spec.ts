import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from '@jest/globals';
import { runCommand } from '../../src/service/embedded-postgres/run-command.js';
import { Closing } from './closing.js';
import { brokenPromises, type ScenarioResult } from './scenario-result.js';
import { runScenario, type RunSettings } from './scenario-run.js';
import { allScenarios, type Scenario } from './scenarios.js';
import type { Trouble } from './trouble.js';

const TYPESCRIPT = new URL('../support/typescript.mjs', import.meta.url).href;
const SEED = 7;

const closing = new Closing();
afterEach(() => closing.close());

const settings: RunSettings = {
  program: new URL('programs/plain-bullmq.program.ts', import.meta.url),
  seed: SEED,
  workers: 2,
  leaseMs: 1_000,
  quietMs: 5_000,
  mostOpenItems: 500,
  signal: new AbortController().signal,
  tell: () => undefined,
  isForgetful: false,
};

function scenarioOf(...troubles: Trouble[]): Scenario {
  return {
    name: 'of a spec',
    flush: 'always',
    isInShortForm: true,
    troubles: troubles.map((trouble) => ({ afterMs: 200, trouble })),
  };
}

describe('the chaos suite', () => {
  it('finds nothing wrong with a queue that keeps what it is given, whatever happens around it', async () => {
    const result = await runScenario(
      scenarioOf(
        { kind: 'kill-worker' },
        { kind: 'kill-redis', downMs: 300 },
        { kind: 'cut-connections' },
        { kind: 'halve-write', direction: 'to-server' },
        { kind: 'halve-write', direction: 'to-client' },
        { kind: 'delay-connections', delayMs: 50, forMs: 300 },
        { kind: 'kill-worker' },
      ),
      settings,
    );
    expect(brokenPromises(result)).toEqual([]);
    expect(result).toMatchObject({ workerKills: 2, redisKills: 1, connectionTroubles: 4, workerDeaths: 0 });
    expect(result.submitted).toBe(result.completed + result.dead);
    expect(result.submitted).toBeGreaterThan(50);
    // A worker is killed in the middle of its items: they are run again.
    expect(result.runTwice + result.runTwiceSubmittedTwice).toBeGreaterThan(0);
    expect(result.longestRescueMs).toBeGreaterThan(0);
  });

  it('stops a worker until its items run elsewhere, and sees them completed twice when it wakes', async () => {
    const result = await runScenario(scenarioOf({ kind: 'stop-worker' }), settings);
    expect(result).toMatchObject({ workerStops: 1, problems: [], lost: [] });
    expect(result.completedTwice).toBeGreaterThan(0);
    expect(result.longestRescueMs).toBeGreaterThan(0);
  });

  it('buries poison', async () => {
    const result = await runScenario(scenarioOf({ kind: 'submit-poison' }), settings);
    expect(result).toMatchObject({ problems: [], lost: [] });
    expect(result.workerDeaths).toBeGreaterThan(1);
    expect(result.dead).toBeGreaterThan(0);
  });
});

describe('the command', () => {
  it('ends with exit code 1 and the names of the items when some are lost', async () => {
    const { command, folder } = startCommand(
      'forgetful',
      '--kills',
      '1',
      '--only',
      'workers killed',
      '--json',
      'out.json',
    );
    const output = await text(command.stdout);
    expect(await command.ended).toMatchObject({ code: 1 });
    const { scenarios } = JSON.parse(readFileSync(path.join(folder, 'out.json'), 'utf8')) as ResultsFile;
    const [result] = scenarios;
    expect(result?.lost.length).toBeGreaterThan(0);
    expect(result?.submitted).toBe(
      (result?.completed ?? 0) + (result?.dead ?? 0) + (result?.lost.length ?? 0),
    );
    expect(output).toContain(`items lost: ${result?.lost.join(', ')}`);
    expect(readdirSync(folder)).toEqual(['out.json']);
  });

  it('leaves no process and no file behind at Ctrl-C', async () => {
    const { command, folder } = startCommand('faithful', '--only', 'one at a time');
    // Its first line tells of the first trouble: all runs, and a worker is about to be stopped.
    await once(command.stderr, 'data');
    expect(await commandsWith(folder)).not.toEqual([]);
    command.interrupt();
    expect(await text(command.stderr)).toContain('The suite was ended by SIGINT');
    expect(await command.ended).toMatchObject({ code: 1 });
    expect(readdirSync(folder)).toEqual([]);
    expect(await commandsWith(folder)).toEqual([]);
  });
});

describe('the scenarios', () => {
  it('are the same for the same seed, and others for another', () => {
    expect(allScenarios(10, 1)).toEqual(allScenarios(10, 1));
    expect(allScenarios(10, 1)).not.toEqual(allScenarios(10, 2));
  });

  it('have as many kills as asked for', () => {
    expect(allScenarios(100, 1)[0]?.troubles).toHaveLength(100);
  });
});

interface ResultsFile {
  readonly scenarios: readonly ScenarioResult[];
}

interface RunningCommand {
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly ended: Promise<{ code: number | null }>;
  interrupt(): void;
}

/** The command on the stand-in, with a folder of its own that all it makes is in. */
function startCommand(
  kind: 'forgetful' | 'faithful',
  ...options: string[]
): { command: RunningCommand; folder: string } {
  const folder = mkdtempSync(path.join(tmpdir(), 'chaos-command-'));
  // Redis runs as another user, who has to reach its folder in it.
  chmodSync(folder, 0o755);
  closing.add(() => rmSync(folder, { recursive: true }));
  const program = fileURLToPath(new URL('stand-in.program.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', TYPESCRIPT, program, kind, '--quick', ...options], {
    cwd: folder,
    env: { ...process.env, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null }));
  closing.add(() => {
    child.kill();
    return ended;
  });
  const { stdout, stderr } = child;
  return { command: { stdout, stderr, ended, interrupt: () => child.kill('SIGINT') }, folder };
}

/** The command lines of all processes that have the text in them: those of a run have its folder. */
async function commandsWith(part: string): Promise<string[]> {
  const { output } = await runCommand('ps', ['-A', '-ww', '-o', 'command=']);
  return output.split('\n').filter((line) => line.includes(part) && !line.startsWith('ps '));
}
