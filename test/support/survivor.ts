import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { running, until } from './process.js';

/**
 * Kills a process below which `sleep` runs in any namespaces, and asserts that it ends too.
 *
 * @param seconds the argument of sleep, which must be unique
 */
export async function assertEndsWith(child: ChildProcess, seconds: string): Promise<void> {
  const sleep = `sleep ${seconds}`;
  await until(() => running(sleep).length > 0, `${sleep} runs`);
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
  try {
    await until(() => running(sleep).length === 0, `${sleep} ends with its launcher`);
  } catch (error) {
    for (const pid of running(sleep)) process.kill(pid, 'SIGKILL');
    assert.fail(String(error));
  }
}
