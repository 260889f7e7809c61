export default async function globalTeardown() {
  // Jest loads this file without translating TypeScript for it.
  await import('./typescript.mjs');
  const { stopServers } = await import('./servers.ts');
  await stopServers();
}
