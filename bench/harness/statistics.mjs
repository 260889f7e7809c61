/** The middle value; of an even number of values, the lower one of the two in the middle. */
export function median(values) {
  return percentile(values, 0.5);
}

/** The value that `share` of the values don't exceed. */
export function percentile(values, share) {
  if (values.length === 0) return Number.NaN;
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}
