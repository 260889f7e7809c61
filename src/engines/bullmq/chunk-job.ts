import { Job, Queue, type QueueOptions } from 'bullmq';

/** Events that BullMQ keeps of a queue, which nobody here reads; about so many. */
const KEPT_EVENTS = 100;

/** A BullMQ job to be added, whose data is JSON already: it is not made a JSON text of a JSON text. */
class TextJob extends Job<string, unknown> {
  override asJSON(): ReturnType<Job['asJSON']> {
    const text = this.data;
    this.data = '';
    const json = super.asJSON();
    this.data = text;
    return { ...json, data: text };
  }
}

/** A BullMQ queue whose jobs are added as JSON texts. */
export class TextQueue extends Queue<string, unknown> {
  constructor(name: string, options: Pick<QueueOptions, 'connection' | 'prefix'>) {
    super(name, {
      ...options,
      // It would print warnings of its own to the console.
      skipVersionCheck: true,
      streams: { events: { maxLen: KEPT_EVENTS } },
      defaultJobOptions: { removeOnComplete: true, removeOnFail: true },
    });
    // Those who call it are told by its answers.
    this.on('error', () => {});
  }

  protected override get Job(): typeof Job {
    return TextJob as unknown as typeof Job;
  }
}
