import { createHash } from 'node:crypto';
import { NORMAL_LANE, PRIORITIES } from '../../core/priority.js';
import type { ChunkQueue, ChunkQueueListener } from './chunk-queue.js';
import type { Store } from './store.js';
import type { QueueNames } from './type-state.js';

/** A queue of a worker type, and how its items are worked on. */
export interface TypeQueue {
  readonly name: string;
  readonly queue: ChunkQueue;
  /** The lane that its items wait in, in a process that has leased them. */
  readonly lane: number;
  /** Whether its items are worked on one after another, over all processes. */
  readonly isOrdered: boolean;
}

/**
 * The queues of one worker type: a lane for each priority, and the partitions of what has an order key. Lanes are queues of
 * their own, as the store's own priorities would let the low ones starve: each process leases from all of them, and gives
 * them their shares.
 */
export class TypeQueues {
  readonly lanes: readonly TypeQueue[];
  /** Made when the first item has an order key. */
  private ordered: TypeQueue[] | undefined = undefined;

  constructor(
    private readonly type: string,
    hasPriorities: boolean,
    private readonly partitionCount: number,
    private readonly store: Store,
    private readonly listener: ChunkQueueListener,
  ) {
    const lanes = hasPriorities ? PRIORITIES.map((_, lane) => lane) : [NORMAL_LANE];
    this.lanes = lanes.map((lane) => ({
      name: laneName(lane),
      queue: this.open(laneName(lane), false),
      lane,
      isOrdered: false,
    }));
  }

  /** That of a lane; of the only one, where the type has no priorities. */
  ofLane(lane: number): ChunkQueue {
    return (this.lanes.find((one) => one.lane === lane) ?? this.lanes[0]!).queue;
  }

  /** That of an order key. */
  ofKey(orderKey: string): ChunkQueue {
    const hash = createHash('sha256').update(orderKey).digest().readUInt32BE();
    return this.partitions[hash % this.partitionCount]!.queue;
  }

  get partitions(): readonly TypeQueue[] {
    this.ordered ??= Array.from({ length: this.partitionCount }, (_, partition) => ({
      name: partitionName(partition),
      queue: this.open(partitionName(partition), true),
      lane: NORMAL_LANE,
      isOrdered: true,
    }));
    return this.ordered;
  }

  nameOf(queue: ChunkQueue | undefined): string | undefined {
    return this.all.find((one) => one.queue === queue)?.name;
  }

  /** That of this name; the lane of no priority, when this process has none of it. */
  ofName(name: string | undefined): TypeQueue {
    const partitions = name !== undefined && isPartitionName(name) ? this.partitions : [];
    const all = [...this.lanes, ...partitions];
    return all.find((one) => one.name === name) ?? all.find(({ lane }) => lane === NORMAL_LANE)!;
  }

  /** Those that have been asked for. */
  get all(): readonly TypeQueue[] {
    return [...this.lanes, ...(this.ordered ?? [])];
  }

  /** Those too that this process does not use: others do, whose type has priorities. */
  get names(): QueueNames {
    return {
      lanes: PRIORITIES.map((_, lane) => laneName(lane)),
      partitions: Array.from({ length: this.partitionCount }, (_, partition) => partitionName(partition)),
    };
  }

  private open(name: string, isPartition: boolean): ChunkQueue {
    return this.store.queue(this.type, name, this.listener, isPartition);
  }
}

function laneName(lane: number): string {
  return lane === NORMAL_LANE ? 'items' : `items.${PRIORITIES[lane]}`;
}

const PARTITION_PREFIX = 'order.';

function partitionName(partition: number): string {
  return `${PARTITION_PREFIX}${partition}`;
}

function isPartitionName(name: string): boolean {
  return name.startsWith(PARTITION_PREFIX);
}
