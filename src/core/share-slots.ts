/**
 * Shares the application's slots among worker types. Types that want little get what they want, and the rest is shared
 * evenly among the others (max-min fairness, Bertsekas & Gallager, "Data Networks", 6.5.2), so that a type with a
 * million items does not starve one with three. When more types want a slot than there are slots, the first
 * ones in the list get one each: the caller lets them take turns by changing the order.
 *
 * @param wanted workers that each type wants, 0 or more
 * @param slots slots there are
 * @returns slots for each type, never more than it wants, together `min(slots, sum of wanted)`
 */
export function shareSlots(wanted: readonly number[], slots: number): number[] {
  const shares = wanted.map(() => 0);
  const hungry = wanted.map((_, index) => index).filter((index) => wanted[index]! > 0);
  // The smallest wish first: what it leaves is shared among those that want more. Ties keep the list's order.
  hungry.sort((a, b) => wanted[a]! - wanted[b]! || a - b);
  if (hungry.length >= slots) {
    hungry.sort((a, b) => a - b);
    for (const index of hungry.slice(0, slots)) shares[index] = 1;
    return shares;
  }
  let left = slots;
  hungry.forEach((index, place) => {
    const evenShare = Math.floor(left / (hungry.length - place));
    shares[index] = Math.min(wanted[index]!, evenShare);
    left -= shares[index];
  });
  return shares;
}
