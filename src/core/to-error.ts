import { isNativeError } from 'node:util/types';
import { NonErrorThrownError } from './errors.js';

/** `value` itself when it is an Error, else an Error that carries it. */
export function toError(value: unknown): Error {
  return isError(value) ? value : new NonErrorThrownError(value);
}

/** Errors of another realm count; a look at a proxy may throw. */
function isError(value: unknown): value is Error {
  try {
    return value instanceof Error || isNativeError(value);
  } catch {
    return false;
  }
}
