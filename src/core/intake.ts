import { ArrayProducer } from './array-producer.js';
import { closeIterator } from './close-iterator.js';
import type { Job, SourceEnd } from './job.js';
import type { ClassifiedSource } from './sources.js';
import { StreamProducer } from './stream-producer.js';
import type { TimeSlices } from './time-slices.js';
import { countWanted } from './without-duplicates.js';
import type { Workload } from './workload.js';

/** Brings submissions into the queues: what there is room for at once, the rest as room is made. */
export class Intake {
  private readonly reading = new Set<StreamProducer>();

  constructor(private readonly slices: TimeSlices) {}

  /** The streams that are being read, for one worker type or for all. */
  streams(type?: string): StreamProducer[] {
    return [...this.reading].filter(({ job }) => type === undefined || job.type === type);
  }

  /**
   * @param uniqueKeys of the items that are at hand
   * @throws QueueFullError when the submission may not even wait for room
   */
  refuseIfFull(
    workload: Workload,
    work: ClassifiedSource<unknown>,
    fromHandler: boolean,
    uniqueKeys: readonly string[] | undefined,
  ): void {
    if (!fromHandler || work.kind === 'stream') return workload.admission.refuseIfLineIsFull();
    const count = work.kind === 'item' ? 1 : work.payloads.length;
    const wanted = uniqueKeys === undefined ? count : countWanted(uniqueKeys, workload.uniqueKeys);
    // What takes no room is never too much.
    if (wanted > 0) workload.admission.refuseBeyondSecondBound(wanted);
  }

  /**
   * Submits what there is room for.
   *
   * @param fromHandler takes an item or an array without asking for room; a stream waits for it at each item
   * @returns what waits for room and is waited for by its submitter; undefined when nothing does
   */
  submit(
    workload: Workload,
    job: Job,
    work: ClassifiedSource<unknown>,
    fromHandler: boolean,
  ): ArrayProducer | undefined {
    switch (work.kind) {
      case 'item':
        if (fromHandler) workload.admit(job, work.payload);
        else if (!workload.submit(job, work.payload)) {
          return new ArrayProducer(workload, job, [work.payload], 0, 'reached');
        }
        job.seal();
        return undefined;
      case 'array': {
        const room = fromHandler ? Infinity : workload.admission.room;
        return submitArray(workload, job, work.payloads, room, work.failure ?? 'reached');
      }
      case 'stream':
        this.read(new StreamProducer(workload, job, work.iterator, this.slices));
        return undefined;
      default:
        return work satisfies never;
    }
  }

  /** Lets go of a source of which nothing is to be read. */
  forgo(work: ClassifiedSource<unknown>): void {
    if (work.kind === 'stream') void closeIterator(work.iterator);
  }

  private read(stream: StreamProducer): void {
    this.reading.add(stream);
    void stream.ended.then(() => this.reading.delete(stream));
  }
}

function submitArray(
  workload: Workload,
  job: Job,
  payloads: readonly unknown[],
  room: number,
  sourceEnd: SourceEnd,
): ArrayProducer | undefined {
  const position = Math.min(room, payloads.length);
  workload.admitMany(job, payloads, 0, position);
  if (position < payloads.length) return new ArrayProducer(workload, job, payloads, position, sourceEnd);
  job.seal(sourceEnd);
  return undefined;
}
