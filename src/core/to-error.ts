import { NonErrorThrownError } from './errors.js';

/** `value` itself when it is an Error, else an Error that carries it. */
export function toError(value: unknown): Error {
  return value instanceof Error ? value : new NonErrorThrownError(value);
}
