import { TestEnvironment } from 'jest-environment-node';

// Jest loads this file without translating TypeScript for it.
await import('./typescript.mjs');
const { LeakCheck } = await import('./leak-check.ts');

/**
 * Fails each test file that leaves a timer, a server, a socket or a child process behind. It does so from the
 * environment because an `afterAll` of a setup file runs before the file's own ones, which do the closing.
 */
export default class LeakCheckingEnvironment extends TestEnvironment {
  async setup() {
    await super.setup();
    this.leakCheck = new LeakCheck(this.global);
  }

  async handleTestEvent(event, state) {
    if (event.name !== 'run_finish') return;
    const leaks = await this.leakCheck.findLeaks();
    if (leaks.length === 0) return;
    const error = new Error(
      `Expected the tests to close what they open. Still open at their end:\n${leaks.join('\n')}`,
    );
    error.stack = error.message;
    state.unhandledErrors.push(error);
  }

  async teardown() {
    this.leakCheck?.stop();
    await super.teardown();
  }
}
