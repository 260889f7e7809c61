import { Cluster, type ChainableCommander } from 'ioredis';
import type { RedisClient } from './redis-client.js';

/** A script that runs in Redis as one step. */
export interface LuaScript {
  /** Names it among the commands of a client. */
  readonly name: string;
  /** How many keys it is given. */
  readonly keys: number | 'any';
  readonly lua: string;
}

/** One call of a script; all its keys have the same hash tag. */
export interface ScriptCall {
  readonly script: LuaScript;
  readonly keys: readonly string[];
  readonly values: readonly (string | number)[];
}

type ScriptCommand = (...args: (string | number)[]) => Promise<unknown>;

/** Runs a script; Redis need not know it, or may have forgotten it. */
export function runScript(client: RedisClient, { script, keys, values }: ScriptCall): Promise<unknown> {
  define(client, script);
  return call(client, script)(...argumentsOf({ script, keys, values }));
}

/** Runs scripts in one round trip, and gives their answers in order. @throws the first error, when all have ended */
export function runScripts(client: RedisClient, calls: readonly ScriptCall[]): Promise<unknown[]> {
  const [first] = calls;
  if (first === undefined) return Promise.resolve([]);
  if (calls.length === 1) return runScript(client, first).then((answer) => [answer]);
  for (const { script } of calls) define(client, script);
  return pipelined(client, (target) => calls.map((one) => call(target, one.script)(...argumentsOf(one))));
}

/**
 * Sends commands in one round trip. A cluster's keys may lie on several nodes, which a pipeline can't reach: there each
 * command goes by itself.
 */
export async function pipelined(
  client: RedisClient,
  send: (target: RedisClient | ChainableCommander) => readonly unknown[],
): Promise<unknown[]> {
  if (client instanceof Cluster) return Promise.all(send(client));
  const pipeline = client.pipeline();
  send(pipeline);
  const answers = (await pipeline.exec()) ?? [];
  return answers.map(([error, answer]) => {
    if (error) throw error;
    return answer;
  });
}

/** Has to come before a pipeline is made, which knows the scripts of that moment. */
function define(client: RedisClient, { name, keys, lua }: LuaScript): void {
  if (Object.hasOwn(client, name)) return;
  client.defineCommand(name, keys === 'any' ? { lua } : { numberOfKeys: keys, lua });
}

/** A command whose number of keys is open is told it. */
function argumentsOf({ script, keys, values }: ScriptCall): (string | number)[] {
  return script.keys === 'any' ? [keys.length, ...keys, ...values] : [...keys, ...values];
}

function call(target: RedisClient | ChainableCommander, { name }: LuaScript): ScriptCommand {
  return (target as unknown as Record<string, ScriptCommand>)[name]!.bind(target);
}
