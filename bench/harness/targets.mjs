/**
 * A figure to reach.
 *
 * @typedef {object} Target
 * @property {string} name what is compared
 * @property {'at least' | 'at most'} bound
 * @property {number} figure
 * @property {number} goal what we are after beyond the figure
 * @property {(pick: (values: number[]) => number) => number} value the measured figure. `pick` chooses among the runs:
 *   their median or, to see whether it could be reached at all, their best
 */

/**
 * Holds measurements against targets. A target is missed when the medians miss it and the best runs do as well.
 *
 * @param {Target[]} targets
 */
export function checkTargets(targets, median, best) {
  return targets.map((target) => {
    const value = target.value(median);
    const bestValue = target.value(best);
    const reaches = (figure) =>
      target.bound === 'at least' ? figure >= target.figure : figure <= target.figure;
    return { ...target, value, bestValue, reached: reaches(value) || reaches(bestValue) };
  });
}

/** A line for each target: what was to be reached, what was. */
export function renderTargets(checked) {
  return checked.map(({ name, bound, figure, goal, value, reached }) => {
    const mark = reached ? 'reached' : 'MISSED ';
    return `${mark}  ${name}: ${bound} ${figure} (goal ${goal}), measured ${value.toFixed(2)}`;
  });
}
