import type { RedisStoreOptions } from './redis-store-options.js';

/** Where Redis is looked for, for people: without user and password. */
export function redisAddress({ url, connection, cluster }: RedisStoreOptions): string {
  if (cluster !== undefined) return `the cluster of ${cluster.nodes.map(nodeText).join(', ')}`;
  if (connection?.sentinels !== undefined) {
    return `${connection.name ?? 'the primary'} of the sentinels ${connection.sentinels.map(nodeText).join(', ')}`;
  }
  if (url !== undefined) return withoutCredentials(url);
  return connection?.path ?? nodeText(connection ?? {});
}

type Node =
  string | number | { readonly host?: string | undefined; readonly port?: number | string | undefined };

function nodeText(node: Node): string {
  if (typeof node === 'number') return `127.0.0.1:${node}`;
  if (typeof node === 'string') return withoutCredentials(node);
  return `${node.host ?? '127.0.0.1'}:${node.port ?? 6379}`;
}

function withoutCredentials(text: string): string {
  const plain = text.replace(/\/\/.*@/, '//');
  // A password may also stand in the query.
  return plain.replace(/\?.*$/, '');
}
