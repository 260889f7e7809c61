/** In which of its worker type's lanes an item waits, the first ones first. */
export const PRIORITIES = ['high', 'normal', 'low'] as const;

/** How much sooner than others an item starts. */
export type Priority = (typeof PRIORITIES)[number];

/** The lane of what says nothing. */
export const NORMAL_LANE = PRIORITIES.indexOf('normal');
