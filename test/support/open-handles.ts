import { ChildProcess } from 'node:child_process';
import { Server, Socket } from 'node:net';

/** What keeps this process alive, apart from timers and its own standard streams. */
export function openHandles(): object[] {
  // The public `process.getActiveResourcesInfo` names kinds only, so it cannot tell an old socket from a new one.
  const { _getActiveHandles: activeHandles } = process as unknown as { _getActiveHandles: () => object[] };
  return activeHandles().filter((handle) => !isStandardStream(handle));
}

export function describeHandle(handle: object): string {
  if (handle instanceof Server) return `A server listens on ${JSON.stringify(handle.address())}.`;
  if (handle instanceof Socket) return describeSocket(handle);
  if (handle instanceof ChildProcess) {
    return `A child process runs: ${handle.spawnargs.join(' ')} (process ${handle.pid}).`;
  }
  return `A ${handle.constructor.name} is open.`;
}

function describeSocket(socket: Socket): string {
  if (socket.remoteAddress === undefined) return 'A pipe or an unconnected socket is open.';
  const { localPort, remoteAddress, remotePort } = socket;
  return `A socket is open, from port ${localPort} to ${remoteAddress}:${remotePort}.`;
}

function isStandardStream(handle: object): boolean {
  // They are made when they are first used, so they may be younger than the test.
  return 'fd' in handle && typeof handle.fd === 'number' && handle.fd >= 0 && handle.fd <= 2;
}
