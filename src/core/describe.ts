/** Says what came in place of what was expected, short enough for a message. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return quote(shorten(value));
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'symbol') return value.toString();
  if (typeof value === 'function') return guarded(value, 'a function', describeFunction);
  if (typeof value === 'object' && value !== null) return guarded(value, 'an object', describeObject);
  return String(value);
}

/** A proxy or a getter may throw at any look; the message matters more. */
function guarded<Value extends object>(
  value: Value,
  otherwise: string,
  look: (value: Value) => string,
): string {
  try {
    return look(value);
  } catch {
    return otherwise;
  }
}

function describeFunction(value: object): string {
  const { name } = value as { name: unknown };
  const kind = Function.prototype.toString.call(value).startsWith('class') ? 'class' : 'function';
  return typeof name === 'string' && name !== '' ? `the ${kind} ${name}` : `a ${kind}`;
}

function describeObject(value: object): string {
  if (Array.isArray(value)) return `an array of ${value.length}`;
  const name: unknown = (Object.getPrototypeOf(value) as { constructor?: { name?: unknown } } | null)
    ?.constructor?.name;
  return typeof name === 'string' && name !== '' && name !== 'Object' ? `a ${name}` : 'an object';
}

function shorten(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`;
}

/** JSON leaves some control characters as they are, which would act on the terminal that shows the message. */
function quote(text: string): string {
  return JSON.stringify(text).replace(/\p{Cc}/gu, (control) => {
    return `\\u${control.codePointAt(0)!.toString(16).padStart(4, '0')}`;
  });
}
