/** What a person needs to know of an error that ends the service: its message and what caused it, without the stack. */
export function startError(error: unknown): string {
  const lines = [describeError(error)];
  for (let { cause } = withFields(error); cause !== undefined; { cause } = withFields(cause)) {
    lines.push(describeError(cause));
  }
  return lines.join('\n  because: ');
}

function describeError(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(describeError).join(', ');
  const { code, address, port, message } = withFields(error);
  if (code === 'ECONNREFUSED') return `Nothing listens at ${address}:${port}`;
  if (code === 'EADDRINUSE') return `Port ${port} (PORT) is in use`;
  // What a message handler throws comes over a transport as an object that is no Error.
  return message ?? String(error);
}

interface ErrorFields {
  readonly message?: string;
  readonly cause?: unknown;
  readonly code?: string;
  readonly address?: string;
  readonly port?: number;
}

function withFields(error: unknown): ErrorFields {
  return typeof error === 'object' && error !== null ? error : {};
}
