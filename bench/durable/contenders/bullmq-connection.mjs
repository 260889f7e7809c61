/** What every queue and worker of BullMQ is given here. */
export function bullmqConnection(url) {
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port) };
}

export const QUEUE = 'items';
/** Nothing is kept of what is done, as we keep nothing. */
export const KEEP_NOTHING = { removeOnComplete: true, removeOnFail: true };
