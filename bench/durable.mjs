// npm run bench:durable: the durable engine beside its peers, on real servers of its own.
import { runDurable } from './durable/run.mjs';
import { installPeers, nodeForPeers, runAgainWith } from './durable/peers.mjs';
import { readBenchOptions } from './harness/options.mjs';

const DEFAULT_RUNS = 7;

const options = readBenchOptions('bench:durable', DEFAULT_RUNS);
if (options.quick) await runDurable(options);
else {
  await installPeers();
  const node = nodeForPeers();
  if (node === process.execPath) await runDurable(options);
  else process.exitCode = await runAgainWith(node);
}
