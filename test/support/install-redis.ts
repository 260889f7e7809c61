import { rm, writeFile } from 'node:fs/promises';
import { runCommand, type CommandResult } from '../../src/service/embedded-postgres/run-command.js';

const START_POLICY = '/usr/sbin/policy-rc.d';
const NO_SERVICE_MAY_START = '#!/bin/sh\nexit 101\n';

/** Installs redis-server by apt, when this process may, and leaves it stopped. */
export async function installRedis(): Promise<CommandResult> {
  if (process.getuid?.() !== 0) return { succeeded: false, output: 'this user is not root' };
  const apt = await runCommand('apt-get', ['--version']);
  if (!apt.succeeded) return { succeeded: false, output: 'there is no apt-get' };

  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const wait = ['-o', 'DPkg::Lock::Timeout=120'];
  const update = await runCommand('apt-get', ['update', '--quiet', ...wait], { env });
  if (!update.succeeded) return failed(update);
  return withoutStartingServices(async () => {
    const install = ['install', '--yes', '--quiet', '--no-install-recommends', ...wait, 'redis-server'];
    const result = await runCommand('apt-get', install, { env });
    return result.succeeded ? result : failed(result);
  });
}

/** Debian starts a server when its package is installed, unless this file says no. */
async function withoutStartingServices(install: () => Promise<CommandResult>): Promise<CommandResult> {
  const wroteIt = await writeFile(START_POLICY, NO_SERVICE_MAY_START, { mode: 0o755, flag: 'wx' }).then(
    () => true,
    () => false,
  );
  try {
    return await install();
  } finally {
    if (wroteIt) await rm(START_POLICY, { force: true });
  }
}

function failed({ output }: CommandResult): CommandResult {
  return { succeeded: false, output: `apt-get failed: ${output.split('\n').slice(-3).join(' ')}` };
}
