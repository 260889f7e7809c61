import { writeSync } from 'node:fs';
import { Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

const STDOUT = 1;

/** A transport of pino, which runs in a thread: writes late, as on a machine that has other work to do. */
export default function slowLog() {
  return new Writable({
    async write(lines, _encoding, done) {
      await delay(50);
      writeSync(STDOUT, lines);
      done();
    },
  });
}
