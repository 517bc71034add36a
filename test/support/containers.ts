import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** crun without control groups, which the tests must not change. */
export const CRUN = 'crun --cgroup-manager=disabled';

/**
 * Returns arguments of unshare(1) that run a shell command where container runtimes find only
 * version 2 of the control groups, whatever the machine has: they refuse a mixture.
 */
export function plainCgroups(command: string): readonly string[] {
  return ['-m', 'sh', '-c', `mount -t cgroup2 none /sys/fs/cgroup && ${command}`];
}

/**
 * Changes a bundle so that it runs without a terminal, and under the limits and groups of the test.
 *
 * @param namespaces namespaces to share with the host, such as `network`
 */
export function makeRunnable(bundle: string, ...namespaces: readonly string[]): void {
  const file = path.join(bundle, 'config.json');
  const config = JSON.parse(readFileSync(file, 'utf8'));
  config.process.terminal = false;
  delete config.process.rlimits;
  delete config.linux.resources;
  config.linux.namespaces = config.linux.namespaces.filter(
    ({ type }: { readonly type: string }) => !namespaces.includes(type),
  );
  writeFileSync(file, JSON.stringify(config));
}

/** A containers-policy.json(5) that requires no signatures. */
export function trustingPolicy(directory: string): string {
  const file = path.join(directory, 'policy.json');
  writeFileSync(file, '{"default":[{"type":"insecureAcceptAnything"}]}');
  return file;
}
