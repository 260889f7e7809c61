const FAILURE = new Error('failed on purpose');
const ignore = () => undefined;

/** The handler of all contenders: does nothing, and counts each item once, however often it is run. */
export function createTally() {
  let runs = new Uint8Array(0);
  let failures = new Uint8Array(0);
  let failEvery = 0;
  let left = 0;
  let runTwice = 0;
  let waits = [];
  let finish = ignore;
  return {
    /** @returns resolves when each of the items has been handled */
    expect(items, everyWhich = 0) {
      runs = new Uint8Array(items);
      failures = new Uint8Array(items);
      failEvery = everyWhich;
      left = items;
      runTwice = 0;
      waits = [];
      return new Promise((resolve) => (finish = resolve));
    },
    handle: async ({ id, at }) => {
      if (failEvery > 0 && id % failEvery === 0 && failures[id] === 0) {
        failures[id] = 1;
        throw FAILURE;
      }
      if (runs[id] > 0) {
        runTwice++;
        return;
      }
      runs[id] = 1;
      if (at > 0) waits.push(performance.now() - at);
      if (--left === 0) finish();
    },
    get runTwice() {
      return runTwice;
    },
    /** Milliseconds from submission to handler. */
    get waits() {
      return waits;
    },
  };
}
