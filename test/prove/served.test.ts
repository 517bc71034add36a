import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { needsRoot, needsThat } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';
import { compileUses, type Observation, observe, resultsOf } from './support.js';

const fuses = needsThat(
  'FUSE',
  () => existsSync('/dev/fuse') && /\tfuse$/m.test(readFileSync('/proc/filesystems', 'utf8')),
  needsRoot('gcc', 'unshare'),
);

describe('file systems that a process serves', fuses, () => {
  const directory = tempDir();
  const [fuse, mount, gate] = ['fuse', 'mount', 'gate'].map((name) => path.join(directory, name));

  before(() => {
    compileUses(fuse ?? '', [], 'fuse.c');
    mkdirSync(mount ?? '');
  });

  /** Observes a shell script in a mount namespace, in which another script has run before. */
  function observeIn(first: string, script: string): Observation {
    return observe(['sh', '-c', script], {
      before: [
        'timeout',
        '-s',
        'KILL',
        '200',
        'unshare',
        '-m',
        'sh',
        '-c',
        `${first}\nexec "$@"`,
        'sh',
      ],
    });
  }

  test('may be served by an observed process', () => {
    const seen = observeIn(
      ':',
      `${fuse} ${mount}; ${mount}/file; ls ${mount}/none; umount ${mount}`,
    );
    assert.equal(seen.stdout, 'served\n');
    assert.equal(seen.reported, 0);
    assert.deepEqual(resultsOf(seen, `${mount}/file`), ['execute found']);
    assert.deepEqual(resultsOf(seen, `${mount}/none`), ['stat absent']);
    // The server itself.
    assert.deepEqual(resultsOf(seen, '/etc/served'), ['access absent']);
  });

  test('delay only the process that uses them', () => {
    const seen = observeIn(
      `${fuse} ${mount} ${gate}`,
      `(test -e ${mount}/file; ${mount}/file) & cat /dev/null; : > ${gate}; wait; umount ${mount}`,
    );
    assert.deepEqual([seen.stdout, seen.reported], ['served\n', 0]);
    assert.deepEqual(resultsOf(seen, `${mount}/file`), ['stat found', 'execute found']);
  });
});
