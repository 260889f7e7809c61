import { describe } from '../core/describe.js';
import { InvalidOptionsError } from '../core/errors.js';
import { describeTarget } from './class-name.js';

/**
 * For a decorator that is written without its call: it is given what it stands on, and what it returns would take the place
 * of that, or be lost, without a word.
 *
 * @param decorator its name, as in `@WorkerType`
 * @param expected what it should have been given
 * @param target what it stands on: a class, or the prototype of one
 * @param member the name of the method, where it stands on one
 */
export function bareDecoratorError(
  decorator: string,
  expected: string,
  target: object,
  member?: string | symbol,
): InvalidOptionsError {
  const got = describeTarget(target) + (member === undefined ? '' : ` and ${describe(member)}`);
  return new InvalidOptionsError(decorator, [`expected ${expected}, got ${got}`]);
}
