import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** crun without the control groups of the machine, which the tests may not change. */
export const CRUN = 'crun --cgroup-manager=disabled';

/**
 * Arguments of unshare(1) that run a shell command where the container runtimes find version 2 of the
 * control groups alone, whatever the machine has: they refuse a mixture.
 */
export function plainCgroups(command: string): readonly string[] {
  return ['-m', 'sh', '-c', `mount -t cgroup2 none /sys/fs/cgroup && ${command}`];
}

/**
 * Changes a bundle such that it runs without a terminal, and under whatever limits and groups the test
 * has.
 *
 * @param namespaces those that it is to share with the host, as `network`
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

/** A containers-policy.json(5) that asks for no signatures. */
export function trustingPolicy(directory: string): string {
  const file = path.join(directory, 'policy.json');
  writeFileSync(file, '{"default":[{"type":"insecureAcceptAnything"}]}');
  return file;
}
