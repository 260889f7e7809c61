const PADDING = 'x'.repeat(70);

/** Items of about 100 bytes as JSON. `at` is the moment of submission where waits are measured. */
export function makeItems(count) {
  return Array.from({ length: count }, (_, id) => ({ id, at: 0, text: PADDING }));
}

/** Slices of a list, the last one may be shorter. */
export function* slicesOf(list, size) {
  for (let start = 0; start < list.length; start += size) yield list.slice(start, start + size);
}
