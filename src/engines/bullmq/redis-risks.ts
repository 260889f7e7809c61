import { Cluster } from 'ioredis';
import type { RedisClient } from './redis-client.js';

/** What may cost items about a Redis, or lets none be stored, a sentence each. Of a cluster, all primaries are looked at. */
export async function findRedisRisks(client: RedisClient): Promise<readonly string[]> {
  const nodes = client instanceof Cluster ? client.nodes('master') : [client];
  const risks = await Promise.all(
    nodes.map(async (node) => {
      const [info, settings] = await Promise.all([readInfo(node), readSettings(node)]);
      return [...roleRisks(info), ...memoryRisks(info, settings), ...persistenceRisks(info, settings)];
    }),
  );
  return [...new Set(risks.flat())];
}

type Facts = ReadonlyMap<string, string>;
type Node = Pick<RedisClient, 'info' | 'config'>;

async function readInfo(node: Node): Promise<Facts> {
  const lines = (await node.info().catch(() => '')).split(/\r?\n/);
  return new Map(
    lines.flatMap((line) => {
      const colon = line.indexOf(':');
      return colon === -1 ? [] : [[line.slice(0, colon), line.slice(colon + 1)]];
    }),
  );
}

/** Managed servers forbid it: then nothing is known of them. */
async function readSettings(node: Node): Promise<Facts> {
  const answers = await Promise.all(
    ['maxmemory', 'maxmemory-policy', 'appendonly', 'save'].map((name) =>
      node.config('GET', name).catch(() => undefined),
    ),
  );
  return new Map(
    answers.flatMap((answer) => {
      const [name, value] = (answer ?? []) as string[];
      return name === undefined || value === undefined ? [] : [[name, value]];
    }),
  );
}

function roleRisks(info: Facts): string[] {
  if (info.get('role') !== 'slave') return [];
  return ['Redis is a replica, in which nothing can be stored: give the address of its primary'];
}

function memoryRisks(info: Facts, settings: Facts): string[] {
  const limit = settings.get('maxmemory') ?? info.get('maxmemory');
  const policy = settings.get('maxmemory-policy') ?? info.get('maxmemory_policy');
  if (limit === undefined || policy === undefined) {
    return ['It could not be read whether Redis drops keys when its memory is full (maxmemory-policy)'];
  }
  if (limit === '0' || policy === 'noeviction') return [];
  return [
    `Redis drops keys when its memory is full, items with them: maxmemory is ${limit} and maxmemory-policy is ${policy}; ` +
      'set it to noeviction',
  ];
}

function persistenceRisks(info: Facts, settings: Facts): string[] {
  const appends = settings.get('appendonly') === 'yes' || info.get('aof_enabled') === '1';
  if (appends) return [];
  const savePoints = settings.get('save');
  if (savePoints === undefined) {
    return ['It could not be read whether Redis keeps items across a restart (appendonly and save)'];
  }
  if (savePoints !== '') return [];
  return ['Redis keeps nothing across a restart, no items either: set appendonly to yes'];
}
