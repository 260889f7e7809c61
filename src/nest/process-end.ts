import { endBy, exitAtNext, turnOver, type NextSignals } from './ending-signals.js';

/** An application that ends at a signal. */
interface Ending {
  /** What ends the process at once while this is under way. */
  readonly signals: readonly NodeJS.Signals[];
}

/**
 * The applications that are ending now. A process is shared by all of its applications: the first one that is done must not
 * end it for the others.
 */
const underWay = new Set<Ending>();
let inOrder = true;
let next: NextSignals | undefined;

/**
 * Lets an application end, and then the process: by `came`, or with 1 when an application could not be closed in order. Of
 * several that end at the same time, the last one ends the process. Another signal ends it at once.
 *
 * @param signals those that this application ends at
 * @param came the one that came
 */
export async function endProcessAfter(
  end: () => Promise<void>,
  signals: readonly NodeJS.Signals[],
  came: NodeJS.Signals,
): Promise<void> {
  const ending: Ending = { signals };
  underWay.add(ending);
  listenForNext(came);
  // Whatever is called from now on may block, and what ends the process even then has to be in place.
  await turnOver();
  next?.leaveToSystem();
  try {
    await end();
  } catch (error) {
    console.error('The application could not be closed in order:', error);
    inOrder = false;
  }
  underWay.delete(ending);
  if (underWay.size > 0) return;
  if (!inOrder) process.exit(1);
  next?.stop();
  endBy(came);
}

/** Anew with each application: the one before listened where this one did, which is over. */
function listenForNext(came: NodeJS.Signals): void {
  next?.stop();
  const signals = new Set([...underWay].flatMap((ending) => ending.signals));
  next = exitAtNext([...signals], came);
}
