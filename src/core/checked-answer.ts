import { describe } from './describe.js';
import { isThenable } from './is-thenable.js';

/**
 * What a function of the user's answered that was asked in the midst of the work.
 *
 * @param expected what it should answer, in words
 * @throws TypeError when it answered anything else (a promise, mostly)
 */
export function checkedAnswer<Answer>(
  answer: Answer,
  expected: string,
  isExpected: (answer: unknown) => boolean,
): Answer {
  if (isExpected(answer)) return answer;
  // Nobody else will hear of its failure.
  if (isThenable(answer)) answer.then(undefined, () => undefined);
  throw new TypeError(`expected ${expected}, got ${describe(answer)}`);
}
