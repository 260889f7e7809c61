export default async function globalSetup() {
  // Jest loads this file without translating TypeScript for it.
  await import('./typescript.mjs');
  const { startServers } = await import('./servers.ts');
  await startServers();
}
