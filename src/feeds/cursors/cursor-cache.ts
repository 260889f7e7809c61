/** Keeps the checkpoints of cursor jobs: for each, the position after the last page whose items have all ended. */
export interface CursorCache {
  /** The checkpoint of `name`; undefined when there is none. */
  load(name: string): Promise<unknown>;
  /** Stores a checkpoint, any JSON value. Kept until it is replaced or cleared, never for a limited time. */
  save(name: string, checkpoint: unknown): Promise<void>;
  /** Forgets the checkpoint: the next run starts from the beginning. */
  clear(name: string): Promise<void>;
  /** Gives back what the cache holds, such as a connection of its own. */
  close(): Promise<void>;
}

/** Checkpoints in this process's memory: gone when it ends. Kept as texts, so that nobody changes one, as elsewhere. */
export class MemoryCursorCache implements CursorCache {
  private readonly checkpoints = new Map<string, string>();

  load(name: string): Promise<unknown> {
    const stored = this.checkpoints.get(name);
    return Promise.resolve(stored === undefined ? undefined : (JSON.parse(stored) as unknown));
  }

  save(name: string, checkpoint: unknown): Promise<void> {
    this.checkpoints.set(name, JSON.stringify(checkpoint));
    return Promise.resolve();
  }

  clear(name: string): Promise<void> {
    this.checkpoints.delete(name);
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
