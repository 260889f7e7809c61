import { Client } from 'pg';
import { startEmbeddedPostgres } from '../../src/service/embedded-postgres/embedded-postgres.js';

/** An application with a database: at SIGINT it still uses it once, then stops it. */
const [directory] = process.argv.slice(2);
const server = await startEmbeddedPostgres(directory === undefined ? {} : { directory });

const staysAlive = setInterval(() => {}, 60_000);
process.once('SIGINT', () => {
  void drain().finally(() => clearInterval(staysAlive));
});
console.log(JSON.stringify({ url: server.url, directory: server.directory }));

async function drain(): Promise<void> {
  const client = new Client(server.url);
  await client.connect();
  const { rows } = await client.query<{ answer: string }>(`SELECT 'drained' AS answer`);
  await client.end();
  await server.stop();
  console.log(rows[0]?.answer);
}
