/** The columns of a user file, in the order in which a file has them. */
export const USER_COLUMNS = [
  'id',
  'email',
  'full_name',
  'birth_date',
  'country',
  'phone',
  'signed_up_at',
  'plan',
] as const;

export type UserColumn = (typeof USER_COLUMNS)[number];

/** A row with as many cells as the header has columns. */
export type UserCells = Record<UserColumn, string>;

/** A row whose number of cells is not the header's. It is kept as it came, so that it can be reported. */
export interface MalformedCells {
  readonly malformed: readonly string[];
  readonly expectedColumns: number;
}

/** What a user may pay for. */
export const USER_PLANS = ['free', 'pro', 'team', 'enterprise'] as const;

export type UserPlan = (typeof USER_PLANS)[number];
