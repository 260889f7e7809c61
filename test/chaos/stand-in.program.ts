/** The same command on plain BullMQ, for the spec; with `forgetful` as its first argument, on one that loses items. */
import { runChaosCommand } from './chaos-command.js';

const program = new URL('programs/plain-bullmq.program.ts', import.meta.url);
const [kind, ...options] = process.argv.slice(2);
await runChaosCommand(options, { program, isForgetful: kind === 'forgetful' });
