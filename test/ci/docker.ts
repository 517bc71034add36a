import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { exec } from '../support/cli.js';
import { startUntil } from '../support/server.js';

/** Debian's client: another one on PATH may lack BuildKit. */
const DOCKER = '/usr/bin/docker';
/** Time limit for the daemon's first answer, in milliseconds. */

export interface Docker {
  /** Returns the output of a docker(1) command that succeeds. */
  run(...args: readonly string[]): string;
  stop(): Promise<void>;
}

/**
 * Starts a Docker daemon with its state and socket in a directory, without networks and firewall
 * rules, and in its own mount namespace, where /etc/docker is empty.
 */
export async function startDocker(directory: string): Promise<Docker> {
  mkdirSync(directory);
  const at = (name: string) => path.join(directory, name);
  const socket = `unix://${at('socket')}`;
  const command = [
    'if [ -d /etc/docker ]; then mount -t tmpfs none /etc/docker; fi',
    `exec dockerd --iptables=false --ip6tables=false --bridge=none --host '${socket}' \
      --data-root '${at('data')}' --exec-root '${at('exec')}' --pidfile '${at('pid')}'`,
  ].join('\n');
  const env = { ...process.env, DOCKER_BUILDKIT: '1', DOCKER_CONFIG: at('config') };
  const isReady = () => exec(DOCKER, ['--host', socket, 'version'], { env }).status === 0;
  const daemon = ['unshare', '-m', 'sh', '-c', command];
  const { stop } = await startUntil('dockerd', daemon, isReady);
  return {
    run(...args) {
      const { status, stdout, stderr } = exec(DOCKER, ['--host', socket, ...args], { env });
      assert.equal(status, 0, `docker ${args.join(' ')}: ${stdout}${stderr}`);
      return args[0] === 'logs' ? stdout + stderr : stdout;
    },
    stop,
  };
}
