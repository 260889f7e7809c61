import { LedgerWriter } from '../ledger/ledger-writer.js';
import type { EngineUnderTest } from './engine-under-test.js';
import { tellSuite, type ProgramPlan, type ToProgram } from './messages.js';
import { Producer } from './producer.js';
import { Watcher } from './watcher.js';
import { handlerOf } from './worker.js';

/** One part in the suite, for as long as its process lives. */
export interface Role {
  start(): Promise<void>;
  tell(message: Exclude<ToProgram, { kind: 'stop' }>): void;
  stop(): Promise<void>;
}

/** The program of a process: plays the role that its argument tells, on the engine that is made for it. */
export async function runProgram(makeEngine: (plan: ProgramPlan) => EngineUnderTest): Promise<void> {
  const plan = JSON.parse(process.argv[2] ?? '') as ProgramPlan;
  // The suite is gone: nobody else would end this process.
  process.once('disconnect', () => process.exit());
  // A terminal's Ctrl-C is for the suite, which then ends this process.
  process.on('SIGINT', () => undefined);
  const ledger = new LedgerWriter(plan.ledgerFolder, plan.name);
  const engine = makeEngine(plan);
  const role = roleOf(plan, engine, ledger);
  process.on('message', (message: ToProgram) => {
    if (message.kind === 'stop') void stop();
    else role.tell(message);
  });
  await role.start();
  tellSuite({ kind: 'ready' });

  async function stop(): Promise<void> {
    await role.stop();
    await engine.close();
    ledger.close();
    // Whatever an engine leaves open keeps the process, and the suite tells of it.
    process.disconnect();
  }
}

function roleOf(plan: ProgramPlan, engine: EngineUnderTest, ledger: LedgerWriter): Role {
  switch (plan.role) {
    case 'worker':
      return {
        start: () => engine.work(handlerOf(plan.name, ledger)),
        tell: () => undefined,
        stop: async () => undefined,
      };
    case 'producer':
      return new Producer(plan, engine, ledger);
    case 'watcher':
      return new Watcher(engine, ledger);
    default:
      throw plan.role satisfies never;
  }
}
