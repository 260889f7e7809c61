// The figures to reach, in ratios to a peer measured in the same run.

/**
 * @param {(name: string, field: string) => number[]} values the values of a measurement
 * @param {number} million items of the large measurements
 * @returns {import('../harness/targets.mjs').Target[]}
 */
export function coreTargets(values, million) {
  const rate = (name) => values(name, 'itemsPerSecond');
  const ratio = (ours, theirs) => (pick) => pick(rate(ours)) / pick(rate(theirs));
  const atLeast = (name, ours, theirs, figure, goal) => ({
    name,
    bound: 'at least',
    figure,
    goal,
    value: ratio(ours, theirs),
  });
  const atMost = (name, measurement, field, figure, goal) => ({
    name,
    bound: 'at most',
    figure,
    goal,
    value: (pick) => -pick(values(measurement, field).map((value) => -value)),
  });
  return [
    atLeast('flood, offer / fastq', 'flood · async · ours, offer', 'flood · async · fastq', 4, 5),
    atLeast(
      'flood, offer / fastq.promise',
      'flood · async · ours, offer',
      'flood · async · fastq.promise',
      15,
      20,
    ),
    atLeast('flood, offer / p-queue', 'flood · async · ours, offer', 'flood · async · p-queue', 25, 40),
    atLeast('steady, offer / fastq', 'steady · async · ours, offer', 'steady · async · fastq', 0.8, 1),
    atLeast(
      'steady, offer / fastq.promise',
      'steady · async · ours, offer',
      'steady · async · fastq.promise',
      1.5,
      1.5,
    ),
    atLeast('sync handler, offer / fastq', 'flood · sync · ours, offer', 'flood · sync · fastq', 0.5, 1),
    atLeast(
      'batches, offer / async.cargoQueue',
      'flood · async · ours, batches, offer',
      'flood · async · async.cargoQueue',
      4,
      7,
    ),
    atLeast(
      'batches, offer / DataLoader',
      'flood · async · ours, batches, offer',
      'flood · async · dataloader',
      7,
      10,
    ),
    atLeast(
      'through Nest / bare core, one bulk call',
      'flood · async · ours, through Nest',
      'flood · async · ours, one bulk call',
      0.75,
      1,
    ),
    atMost('bytes kept a waiting item', 'memory · ours, offer', 'bytesPerItem', 16, 8),
    atMost(
      'longest stall outside collections, ms',
      'drain · async · ours, offer',
      'stallWithoutCollectionMs',
      20,
      10,
    ),
    atLeast(
      'linear: ten million / one million',
      'flood · async · ours, one bulk call · 10000000 items',
      `flood · async · ours, one bulk call · ${million} items`,
      0.8,
      1,
    ),
  ];
}
