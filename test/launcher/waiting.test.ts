import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { childrenOf } from '../front/support.js';
import { exec, INVOKE_NS } from '../support/cli.js';
import { needsRoot } from '../support/need.js';
import { until } from '../support/process.js';
import { tempDir } from '../support/temp-dir.js';

describe('a launcher that waits for its descriptor', needsRoot('mkfifo'), () => {
  const fifo = path.join(tempDir(), 'fifo');
  exec('mkfifo', [fifo]);
  const cases = [
    ['SIGTERM', [], 143],
    ['SIGHUP', [], 129],
    ['SIGTERM', ['--init'], 143],
    ['SIGINT', ['--init'], 130],
    ['SIGUSR1', ['--init'], 138],
  ] as const;
  for (const [signal, options, status] of cases) {
    test(`ends at once with ${signal}: ${options.join(' ')}`, { timeout: 20_000 }, async (t) => {
      const pipe = openSync(fifo, 'r+');
      const launcher = spawn(
        INVOKE_NS,
        ['-pm', ...options, '--block-fd', '3', '--', 'sh', '-c', 'echo started'],
        { stdio: ['ignore', 'pipe', 'inherit', pipe] },
      );
      t.after(() => launcher.kill('SIGKILL'));
      let said = '';
      launcher.stdout?.on('data', (part) => {
        said += part;
      });
      await until(() => childrenOf(launcher.pid ?? 0).length > 0, 'there is a child');
      const ended = once(launcher, 'exit');
      launcher.kill(signal);
      assert.deepEqual(await ended, [status, null]);
      assert.equal(said, '');
      closeSync(pipe);
    });
  }
});
