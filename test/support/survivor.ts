import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { exec } from './cli.js';

/**
 * Kills a process below which `sleep` runs in any namespaces, and asserts that it ends too.
 *
 * @param seconds the argument of sleep, which must be unique
 */
export async function assertEndsWith(child: ChildProcess, seconds: string): Promise<void> {
  const sleepers = (): string => exec('ps', ['-C', 'sleep', '-o', 'pid=,args=']).stdout;
  const pid = new RegExp(`(\\d+) sleep ${seconds}$`, 'm').exec(sleepers())?.[1];
  assert.ok(pid);
  child.kill('SIGKILL');
  await once(child, 'exit');
  const isLeft = (): boolean => sleepers().includes(`sleep ${seconds}\n`);
  for (let tries = 0; isLeft() && tries < 100; tries++) exec('sleep', ['0.02']);
  if (!isLeft()) return;
  process.kill(Number(pid), 'SIGKILL');
  assert.fail(`sleep ${seconds} has outlived its launcher`);
}
