/** npm run test:chaos: the durable engine among processes that are killed, a Redis that goes and connections that break. */
import { runChaosCommand } from './chaos-command.js';

const program = new URL('programs/engine.program.ts', import.meta.url);
await runChaosCommand(process.argv.slice(2), { program, isForgetful: false });
