import { toError } from '../../core/to-error.js';
import { StoreUnavailableError } from './store-errors.js';

const ABORTED = 'Command aborted due to connection close';

/** How ioredis and Node name what only means that there is no connection. */
const CONNECTION_FAILURE =
  /^Connection is closed|^Command aborted due to connection close|^Command timed out|^Stream isn't writeable|^Failed to refresh slots cache|^All sentinels are unreachable|^Reached the max retries|^Socket closed|^None of startup nodes is available|Cluster isn't ready/;
const CONNECTION_CODE = /^E(CONN|TIMEDOUT|PIPE|NOTFOUND|AI_AGAIN|HOSTUNREACH|NETUNREACH)/;
/** What Redis answers when it can't work for anybody, whatever is asked. */
const REFUSAL =
  /^(LOADING|READONLY|OOM|MASTERDOWN|CLUSTERDOWN|NOREPLICAS|MISCONF|BUSY|TRYAGAIN|NOAUTH|WRONGPASS|NOPERM|ERR max number of clients|EXECABORT|ERR Error running script .* -(LOADING|READONLY|OOM|MISCONF|NOREPLICAS)) /;

/** The typed error of a call that failed as Redis can't be reached or refuses to work; any other as it is. */
export function asStoreError(thrown: unknown, address: string): Error {
  const error = toError(thrown);
  if (error instanceof StoreUnavailableError || !isOfStore(error)) return error;
  return new StoreUnavailableError(address, error);
}

function isOfStore(error: Error): boolean {
  const { code } = error as { code?: unknown };
  if (typeof code === 'string' && CONNECTION_CODE.test(code)) return true;
  return CONNECTION_FAILURE.test(error.message) || REFUSAL.test(`${error.message} `);
}

/** Whether the client gave a command up, as it had been answered in part when the connection was lost. */
export function isAborted(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith(ABORTED);
}
