import { PRIORITIES } from './priority.js';

/** Items of each lane that start in a round while all lanes have some: the low one is slowed down, and never starved. */
const SHARES = { high: 16, normal: 4, low: 1 } as const;

/** Says which lane is next, so that each has its share and none starves. */
export class LaneShares {
  /** What is left of the shares of this round. */
  private readonly left = PRIORITIES.map(() => 0);

  /**
   * The first lane that has something and has not had its share; when all of those have, a new round begins.
   *
   * @param has whether a lane has something; one of them does
   */
  next(has: (lane: number) => boolean): number {
    const { left } = this;
    let first = -1;
    for (let lane = 0; lane < left.length; lane++) {
      if (!has(lane)) continue;
      if (left[lane]! > 0) {
        left[lane]!--;
        return lane;
      }
      if (first < 0) first = lane;
    }
    for (const [lane, priority] of PRIORITIES.entries()) left[lane] = SHARES[priority];
    left[first]!--;
    return first;
  }
}
