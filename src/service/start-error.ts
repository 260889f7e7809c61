/** What a person needs to know of an error that ends the service: its message and what caused it, without the stack. */
export function startError(error: unknown): string {
  const lines: string[] = [];
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause)
    lines.push(describeError(cause));
  return lines.length === 0 ? `The service ended: ${String(error)}` : lines.join('\n  because: ');
}

function describeError(error: Error): string {
  const { code, address, port } = error as { code?: string; address?: string; port?: number };
  if (error instanceof AggregateError)
    return error.errors.map((part) => describeError(part as Error)).join(', ');
  if (code === 'ECONNREFUSED')
    return `Nothing listens at ${address}:${port}: is the database (DATABASE_URL) or Redis (REDIS_URL) up?`;
  if (code === 'EADDRINUSE') return `Port ${port} (PORT) is in use`;
  return error.message;
}
