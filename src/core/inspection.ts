/** The method that `util.inspect`, and so `console.log`, asks for the text of an object. */
export const INSPECT: unique symbol = Symbol.for('nodejs.util.inspect.custom');

/** `util.inspect`, as it hands itself to that method. */
export type Inspect = (value: unknown, options: unknown) => string;

/** The class of `object` and what its JSON says, for people at a console: its fields lead into the whole process. */
export function inspection(object: { toJSON(): object }, options: unknown, inspect: Inspect): string {
  return `${object.constructor.name} ${inspect(object.toJSON(), options)}`;
}
