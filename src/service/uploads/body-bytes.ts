import type { IncomingMessage } from 'node:http';
import { finished, type Transform } from 'node:stream';

/**
 * The bytes of a request's body, by way of `through`. Whoever reads them may stop before their end; what still comes
 * is then thrown away. Left where it is, it would stand before the sender's next request on the connection.
 */
export function bodyBytes(request: IncomingMessage, through: Transform): AsyncIterable<Uint8Array> {
  const body = request.pipe(through);
  finished(request, (error) => {
    if (error) body.destroy(error);
  });
  body.once('close', () => request.resume());
  // Until somebody reads it, nobody hears of an error; who does then is told.
  body.on('error', () => undefined);
  return body;
}
