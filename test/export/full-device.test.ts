import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { exec, JAILBUILD } from '../support/cli.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

describe(
  'an export to a full device names what the user named',
  needsRoot('unshare', 'mount'),
  () => {
    for (const kind of ['oci', 'tar', 'oci-archive', 'docker-archive']) {
      test(kind, () => {
        const directory = tempDir();
        const script = 'mount -t tmpfs -o size=300k none "$0"; "$@"; echo $?; ls -A "$0"';
        const command = [process.execPath, JAILBUILD, 'export', '/bin/ls', '--to'];
        const to = `${kind}:${directory}/made`;
        const { stdout, stderr } = exec('unshare', [
          ...['-m', 'sh', '-c', script, directory, ...command, to],
        ]);
        assert.equal(stderr, `jailbuild: ${directory}/made: no space left on device\n`);
        assert.equal(stdout, '1\n');
      });
    }
  },
);
