import type { Clock } from '../core/clock.js';
import type { JobProcess } from '../job-process.js';
import { counted } from './counted.js';
import type { WorkerLog } from './worker-log.js';

/** Lets work finish, with a line in the log as this begins and one when it has ended. */
export async function shutDownAndLog(
  jobs: JobProcess,
  log: WorkerLog,
  { shutdownTimeoutMs, clock }: { readonly shutdownTimeoutMs: number; readonly clock: Clock },
): Promise<void> {
  const before = jobs.counts();
  const startMs = clock.now();
  const { running, waiting, delayed } = before;
  log.info(
    `Shutdown begins: ${running} running, ${waiting} waiting, ${delayed} delayed; at most ${shutdownTimeoutMs} ms to finish`,
    { running, waiting, delayed, shutdownTimeoutMs },
  );
  await jobs.shutdown();
  const after = jobs.counts();
  const durationMs = Math.round(clock.now() - startMs);
  const completed = after.completed - before.completed;
  const dead = after.dead - before.dead;
  const handedBack = after.handedBack - before.handedBack;
  log.info(
    // A line of dead letters that are left, of all times, may stand right before this one.
    `Shutdown ended after ${durationMs} ms; since it began: ${completed} completed, ${counted(dead, 'new dead letter')}, ${handedBack} handed back`,
    { durationMs, completed, dead, handedBack },
  );
}
