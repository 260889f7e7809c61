import { median } from '../harness/statistics.mjs';

/**
 * The results of a run, by measurement and field. Contenders are compared round by round, as what else the machine does
 * changes from round to round: a ratio is the median of the rounds' ratios.
 *
 * @param {Map<string, object[]>} results of each measurement, one a round
 */
export function roundsOf(results) {
  const values = (name, field) => (results.get(name) ?? []).map((result) => result[field]);
  const ratios = (name, field, otherName) => {
    const others = values(otherName, field);
    return others.length === 0 ? [] : values(name, field).map((value, round) => value / others[round]);
  };
  return {
    names: [...results.keys()],
    values,
    median: (name, field) => median(values(name, field)),
    ratios,
    ratio: (name, field, otherName) => median(ratios(name, field, otherName)),
  };
}
