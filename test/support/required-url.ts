/** The address of a test server, as the global setup left it. */
export function requiredUrl(variable: 'DATABASE_URL' | 'REDIS_URL'): URL {
  const url = process.env[variable];
  if (url) return new URL(url);
  throw new Error(
    `${variable} is not set. Specs that need a server belong into test/integration, where Jest starts one for them.`,
  );
}
