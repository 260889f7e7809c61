/** What one share or index was worth on one day. */
export interface Quote {
  readonly symbol: string;
  /** `YYYY-MM-DD` */
  readonly date: string;
  readonly open?: number;
  readonly high?: number;
  readonly low?: number;
  readonly close: number;
  readonly volume?: number;
}
