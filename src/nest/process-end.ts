import { endBy, exitAtNext, leaveMoment, turnOver, type NextSignals } from './ending-signals.js';

/** What has to end in order before the process does. */
export interface EndingApplication {
  /** Any of these ends the process, and with it every application that was named here. */
  readonly signals: readonly NodeJS.Signals[];
  end(): Promise<void>;
}

/** The end of the process, from the signal on that it ends by. */
interface ProcessEnd {
  readonly came: NodeJS.Signals;
  readonly next: NextSignals;
  /** Whether each application that has ended so far could be closed in order. */
  isInOrder: boolean;
}

/**
 * Those that have not ended. A process is shared by all of its applications: a signal that ends one of them ends them all,
 * whichever they listen to, and the first one that is done must not end the process for the others.
 */
const applications = new Set<EndingApplication>();
let processEnd: ProcessEnd | undefined;

/**
 * Lets the application end at a signal of its own or of another one, and when all of them have, the process: by the signal
 * that came, or with 1 when an application could not be closed in order. Another signal ends it at once.
 *
 * An application that is named while others end already, ends with them; so does one that is named when they have, in the
 * moment that the process still lives where others listen to the signal.
 *
 * @returns to be called when it has ended without a signal
 * @throws what Node throws of a signal that can't be listened to; then the application is not named
 */
export function endAtSignals(application: EndingApplication): () => void {
  if (processEnd === undefined) {
    listen(application);
    applications.add(application);
  } else {
    applications.add(application);
    void end(application, processEnd);
  }
  return () => {
    // One that ends at a signal is not over before all that it does then is.
    if (processEnd !== undefined) return;
    applications.delete(application);
    stopListening(application);
  };
}

function endAll(came: NodeJS.Signals): void {
  const signals = new Set([...applications].flatMap((application) => application.signals));
  processEnd = { came, next: exitAtNext([...signals], came), isInOrder: true };
  for (const signal of signals) process.off(signal, endAll);
  for (const application of applications) void end(application, processEnd);
}

async function end(application: EndingApplication, ofProcess: ProcessEnd): Promise<void> {
  // Whatever is called from now on may block, and what ends the process even then has to be in place.
  await turnOver();
  const { came, next } = ofProcess;
  next.leaveToSystem();
  try {
    await application.end();
  } catch (error) {
    console.error('The application could not be closed in order:', error);
    ofProcess.isInOrder = false;
  }
  applications.delete(application);
  if (applications.size > 0) return;
  if (!ofProcess.isInOrder) process.exit(1);
  await leaveMoment(came);
  // Another one may have been named meanwhile.
  if (applications.size > 0) return;
  next.stop();
  endBy(came);
}

/** Once to each signal, however many applications there are: of more than ten listeners, Node warns. */
function listen(application: EndingApplication): void {
  try {
    for (const signal of application.signals) if (!isListenedTo(signal)) process.on(signal, endAll);
  } catch (error) {
    stopListening(application);
    throw error;
  }
}

/** But for the signals of applications that are still there. */
function stopListening({ signals }: EndingApplication): void {
  const left = new Set([...applications].flatMap((application) => application.signals));
  for (const signal of signals) if (!left.has(signal)) process.off(signal, endAll);
}

function isListenedTo(signal: NodeJS.Signals): boolean {
  return process.listeners(signal).includes(endAll);
}
