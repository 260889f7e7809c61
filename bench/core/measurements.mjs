// What is measured: every contender in every shape that it can take.
const PROGRAM = new URL('./measure.mjs', import.meta.url).pathname;

const ONE_BY_ONE = ['fastq', 'fastq.promise', 'p-queue', 'async.queue'];
const BATCHES = ['ours, batches, offer', 'ours, batches, one bulk call', 'async.cargoQueue', 'dataloader'];
const OURS = ['ours, offer', 'ours, one bulk call', 'ours, awaited call an item', 'ours, through Nest'];

/** Peers that need minutes for a million items are given fewer; their rates fall with the number, so this is in their favour. */
const SLOW = new Set(['fastq.promise', 'p-queue', 'dataloader']);

/**
 * @param {{ quick: boolean }} options
 * @returns {{ name: string, program: string, flags: string[], input: object }[]}
 */
export function coreMeasurements({ quick }) {
  const million = quick ? 10_000 : 1_000_000;

  const scale = quick ? [10_000] : [10_000, 100_000, 1_000_000, 10_000_000];
  return [
    ...each([...OURS, ...ONE_BY_ONE, 'bare loop', ...BATCHES], {
      shape: 'flood',
      isAsync: true,
      items: million,
    }),
    ...each([...OURS, ...ONE_BY_ONE, 'bare loop', ...BATCHES], {
      shape: 'flood',
      isAsync: false,
      items: million,
    }),
    ...each(['ours, offer', ...ONE_BY_ONE], { shape: 'steady', isAsync: true, items: million }),
    ...each(['ours, offer', ...ONE_BY_ONE], { shape: 'steady', isAsync: false, items: million }),
    ...each(['ours, offer', ...ONE_BY_ONE], { shape: 'ring', isAsync: true, items: million }),
    ...each(['ours, offer', ...ONE_BY_ONE], { shape: 'drain', isAsync: true, items: million }),
    ...each(['ours, offer', ...ONE_BY_ONE], { shape: 'memory', items: million }),
    ...each(['ours, offer', ...ONE_BY_ONE], { shape: 'paced', items: quick ? 1_000 : 30_000 }),
    ...scale.flatMap((items) =>
      each(['ours, one bulk call'], { shape: 'flood', isAsync: true, items, variant: 'scale' }),
    ),
    ...[0.01, 0.1].flatMap((failureRate) =>
      each(['ours, one bulk call'], { shape: 'flood', isAsync: true, items: million, failureRate }),
    ),
  ];
}

function each(contenders, input) {
  return contenders.map((contender) =>
    measurement({ contender, ...input, items: itemsFor(contender, input.items) }),
  );
}

function itemsFor(contender, items) {
  return SLOW.has(contender) ? Math.min(items, 300_000) : items;
}

function measurement(input) {
  return { name: measurementName(input), program: PROGRAM, flags: ['--expose-gc'], input };
}

/** Names a measurement; the same input always has the same name. */
export function measurementName({ contender, shape, isAsync, failureRate, variant, items }) {
  const handler = isAsync === undefined ? [] : [isAsync ? 'async' : 'sync'];
  const failures = failureRate === undefined ? [] : [`${failureRate * 100} % fail`];
  const scale = variant === undefined ? [] : [`${items} items`];
  return [shape, ...handler, contender, ...failures, ...scale].join(' · ');
}
