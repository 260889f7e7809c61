/** How far one piece of work is. */
export interface Progress {
  readonly name: string;
  /** Items that are through, well or not. */
  readonly done: number;
  /** How many of them failed. */
  readonly failed: number;
  /** Missing while nobody knows how many there will be. */
  readonly total?: number | undefined;
  readonly elapsedMs: number;
}

/** One piece of work on the display. */
export interface ProgressTrack {
  /** @param done items that are through, failed ones too. */
  update(done: number, failed: number): void;
  /** Shows the last state for good. What is updated afterwards is ignored; finishing again does nothing. */
  finish(): void;
}

/** Shows how far several pieces of work are, while they run. */
export interface ProgressDisplay {
  /** @param total missing while nobody knows how many items there will be. */
  start(name: string, total?: number): ProgressTrack;
  /**
   * Finishes what is not finished, and leaves the output to others. What starts later isn't shown; closing
   * again does nothing.
   */
  close(): void;
}
