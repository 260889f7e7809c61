const WHOLE = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const FRACTION = new Intl.NumberFormat('en-US', { maximumFractionDigits: 1 });

/** `12,345` */
export function countText(count: number): string {
  return WHOLE.format(count);
}

/** `1 price` or `12,345 prices` */
export function countedText(count: number, one: string, many = `${one}s`): string {
  return `${countText(count)} ${count === 1 ? one : many}`;
}

/** `12,345` or, below ten, `3.2` */
export function rateText(perSecond: number): string {
  return perSecond < 10 ? FRACTION.format(perSecond) : WHOLE.format(perSecond);
}

/** `850 ms`, `12.3 s` or `2 min 5 s` */
export function durationText(durationMs: number): string {
  if (durationMs < 999.5) return `${Math.round(durationMs)} ms`;
  if (durationMs < 59_950) return `${(durationMs / 1_000).toFixed(1)} s`;
  const seconds = Math.round(durationMs / 1_000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
