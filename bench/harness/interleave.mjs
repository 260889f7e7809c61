import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
const TIMEOUT_MS = 180_000;

/**
 * Makes every measurement `rounds` times, each in a fresh process, and never the same twice in a row: what the machine
 * does meanwhile, and how it warms up or slows down, falls on all of them alike.
 *
 * @param {{ name: string, program: string, flags?: string[], input: object }[]} measurements
 * @returns {Promise<Map<string, object[]>>} the results by name
 */
export async function interleave(measurements, rounds, log) {
  const results = new Map(measurements.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    log(`round ${round + 1} of ${rounds}`);
    for (const measurement of shuffle(measurements)) {
      results.get(measurement.name).push(await measure(measurement));
    }
  }
  return results;
}

async function measure({ name, program, flags = [], input }) {
  try {
    const { stdout } = await run(process.execPath, [...flags, program, JSON.stringify(input)], {
      timeout: TIMEOUT_MS,
    });
    return JSON.parse(stdout);
  } catch (error) {
    throw new Error(`${name} could not be measured: ${error.stderr || error.message}`, { cause: error });
  }
}

function shuffle(list) {
  return list
    .map((entry) => ({ entry, place: Math.random() }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ entry }) => entry);
}
