import type { ChildProcess } from 'node:child_process';
import type { ServerUser } from './server-user.js';

export interface KeptCommand {
  readonly command: string;
  readonly args: readonly string[];
}

export interface KeeperPlan {
  readonly title: string;
  /** They run one after the other; the last one is the server. */
  readonly steps: readonly KeptCommand[];
  readonly stopSignal: NodeJS.Signals;
  /** How long the server may take to stop before it is killed. */
  readonly killAfterMs: number;
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly user: ServerUser | undefined;
  readonly removeOnExit: string | undefined;
}

/**
 * The program of a small process between the application and its server. It stops the server when its own
 * standard input closes, which happens when the application asks for it and also when the application is killed.
 *
 * It is started from this function's source text, so that it runs alike from TypeScript and from the build. So
 * nothing outside of the function may be used in it.
 */
/* istanbul ignore next: counters for coverage do not exist in the other process */
export async function keepServer(plan: KeeperPlan): Promise<void> {
  const { spawn } = process.getBuiltinModule('node:child_process');
  const { rmSync } = process.getBuiltinModule('node:fs');
  process.title = plan.title;

  let stopRequested = false;
  let running: ChildProcess | undefined;
  const stop = (): void => {
    if (stopRequested) return;
    stopRequested = true;
    running?.kill(plan.stopSignal);
    setTimeout(() => running?.kill('SIGKILL'), plan.killAfterMs).unref();
  };
  process.stdin.once('close', stop).once('error', stop).resume();
  process.once('SIGINT', stop).once('SIGTERM', stop).once('SIGHUP', stop);

  const run = (step: KeptCommand): Promise<number> =>
    new Promise((resolve) => {
      const child = spawn(step.command, step.args, {
        cwd: plan.cwd,
        env: plan.env,
        stdio: ['ignore', 'inherit', 'inherit'],
        ...plan.user,
      });
      running = child;
      child.once('error', (error) => {
        console.error(error.message);
        resolve(127);
      });
      child.once('exit', (code) => resolve(code ?? 1));
    });

  let exitCode = 0;
  for (const step of plan.steps) {
    if (stopRequested || exitCode !== 0) break;
    exitCode = await run(step);
  }
  if (plan.removeOnExit !== undefined) {
    // A killed server's own children may write for a moment longer.
    rmSync(plan.removeOnExit, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
  process.exit(exitCode);
}
