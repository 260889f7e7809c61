import { setTimeout as delay } from 'node:timers/promises';
import { fateOf, type ChaosItem } from '../chaos-item.js';
import type { LedgerWriter } from '../ledger/ledger-writer.js';

/** What is done with an item, written down before and after. */
export function handlerOf(
  worker: string,
  ledger: LedgerWriter,
): (item: ChaosItem, attempt: number) => Promise<void> {
  return async (item, attempt) => {
    const { name, workMs } = item;
    const write = (kind: 'started' | 'done' | 'failed'): void =>
      ledger.write({ kind, item: name, worker, pid: process.pid, attempt, atMs: Date.now() });
    const fail = (): never => {
      write('failed');
      throw new Error(`${name} fails at attempt ${attempt}`);
    };
    write('started');
    const fate = fateOf(name);
    if (fate === 'poison') process.kill(process.pid, 'SIGKILL');
    await delay(workMs);
    if (fate === 'fails-always' || (fate === 'fails-once' && attempt === 1)) fail();
    write('done');
  };
}
