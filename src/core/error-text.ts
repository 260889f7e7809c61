import { describe } from './describe.js';

/** Why something failed, as a text: an error's message may be anything, and may throw when it is looked at. */
export function errorText(error: Error): string {
  try {
    const message: unknown = error.message;
    return typeof message === 'string' ? message : describe(message);
  } catch {
    return `${describe(error)} whose message can't be read`;
  }
}
