import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { draftFile } from '../../src/fs/draft.js';
import { openOutput } from '../../src/fs/open-output.js';
import { exec, JAILBUILD, jailbuild } from '../support/cli.js';
import { needs, needsRoot } from '../support/need.js';
import { inPrivateDev } from '../support/private-dev.js';
import { sleeps } from '../support/process.js';
import { tempDir } from '../support/temp-dir.js';

/** Every command line that names an output file, with `$OUT` in its place. */
const OUTPUTS: Readonly<Record<string, string>> = {
  'build --manifest': 'jail true --manifest $OUT',
  'build --dry-run --manifest': 'jail true --dry-run --manifest $OUT',
  'build --sbom-file': 'jail true --sbom cyclonedx --sbom-file $OUT',
  'export --sbom-file': 'export true --to tar:tree.tar --sbom spdx --sbom-file $OUT',
  'export tar': 'export true --to tar:$OUT',
  'export cpio': 'export true --to cpio:$OUT',
  'export oci-archive': 'export true --to oci-archive:$OUT',
  'export docker-archive': 'export true --to docker-archive:$OUT',
  'a jail file': '--file jail.yaml',
};

const JAIL_FILE = (out: string) => `root: jail\nprograms: ["true"]\nmanifest: ${out}\n`;

for (const [name, words] of Object.entries(OUTPUTS)) {
  test(`${name} leaves a device and a link to it unchanged`, needsRoot('unshare', 'mknod'), () => {
    const directory = tempDir();
    symlinkSync('/dev/null', path.join(directory, 'link'));
    for (const out of ['/dev/null', 'link']) {
      writeFileSync(path.join(directory, 'jail.yaml'), JAIL_FILE(out));
      const { status, stderr, stdout } = inPrivateDev(
        directory,
        `OUT=${out}; $J ${words} >told 2>&1 || { cat told >&2; exit 1; }; stat -c '%F %t:%T' /dev/null`,
      );
      assert.equal(status, 0, stderr);
      assert.equal(stdout, 'character special file 1:3\n');
      assert.equal(readlinkSync(path.join(directory, 'link')), '/dev/null');
    }
  });

  test(`${name} writes to a fifo, and through a link to a file`, needs('bash'), async (t) => {
    const directory = tempDir();
    const run = (out: string) => {
      writeFileSync(path.join(directory, 'jail.yaml'), JAIL_FILE(out));
      const script = `OUT=${out}; ${process.execPath} ${JAILBUILD} ${words}`;
      return exec('bash', ['-c', script], { cwd: directory });
    };
    spawnSync('mkfifo', [path.join(directory, 'fifo')]);
    const reader = spawn('bash', ['-c', 'exec cat fifo > read'], { cwd: directory });
    t.after(() => reader.kill());
    const ended = new Promise((resolve) => reader.on('exit', resolve));
    const { status, stderr } = run('fifo');
    assert.equal(status, 0, stderr);
    await ended;
    assert.ok(lstatSync(path.join(directory, 'fifo')).isFIFO());
    assert.ok(statSync(path.join(directory, 'read')).size > 0);

    mkdirSync(path.join(directory, 'elsewhere'));
    const real = path.join(directory, 'elsewhere/real');
    writeFileSync(real, 'old');
    chmodSync(real, 0o640);
    symlinkSync('elsewhere/real', path.join(directory, 'to-file'));
    const again = run('to-file');
    assert.equal(again.status, 0, again.stderr);
    assert.equal(readlinkSync(path.join(directory, 'to-file')), 'elsewhere/real');
    assert.ok(statSync(real).size > 3);
    assert.equal(statSync(real).mode & 0o777, 0o640);
    assert.deepEqual(readdirSync(path.join(directory, 'elsewhere')), ['real']);
  });
}

test('/dev/stdout and a process substitution receive the output', needs('bash', 'tar'), () => {
  const directory = tempDir();
  const script = [
    `J="${process.execPath} ${JAILBUILD}"`,
    '{ echo before; $J jail true --manifest /dev/stdout --quiet; echo after; } > file',
    'head -1 file; tail -1 file; grep -c jailbuild.manifest file',
    '$J export true --to tar:/dev/stdout | tar -t | grep -c bin/true',
    // Messages go to standard error, as for `-`.
    '$J export true --to tar:/dev/stdout > tree.tar; tar -tf tree.tar > /dev/null && echo whole',
    '$J export true --to cpio:>(wc -c > count); until test -s count; do sleep 0.05; done; test "$(cat count)" -gt 1000 && echo counted',
    '$J export true --to oci-archive:>(tar -t > names; touch all); until test -e all; do sleep 0.05; done; grep -c index.json names',
    'exec 7> seven; $J jail true --quiet --manifest /dev/fd/7; echo end >&7; tail -1 seven',
  ].join('\n');
  const { stdout, stderr } = exec('bash', ['-c', script], { cwd: directory });
  assert.deepEqual(
    stdout.split('\n').filter((line) => !/^(Exported|Image|Digest| {2})/.test(line)),
    ['before', 'after', '1', '1', 'whole', 'counted', '1', 'end', ''],
    stderr,
  );
});

test('a full device causes an error, and is not removed', needsRoot('unshare', 'mknod'), () => {
  const directory = tempDir();
  const { stdout, stderr } = inPrivateDev(
    directory,
    '$J export true --to tar:/dev/full; echo $?; stat -c %t:%T /dev/full',
  );
  assert.equal(stdout, '1\n1:7\n');
  assert.match(stderr, /^jailbuild: \/dev\/full: no space left on device\n$/m);
});

test('a bill of materials beside a stream needs a file name', () => {
  const directory = tempDir();
  const { status, stderr } = jailbuild(
    ['export', 'true', '--to', 'tar:/dev/stderr', '--sbom', 'spdx'],
    { cwd: directory },
  );
  assert.equal(status, 2);
  assert.match(stderr, /name its file with --sbom-file/);
});

test('a file is created through a dangling link, and a failed export removes it', () => {
  const directory = tempDir();
  symlinkSync('later/file.tar', path.join(directory, 'link'));
  const run = (...words: readonly string[]) =>
    jailbuild(['export', ...words, '--to', 'tar:link'], { cwd: directory });
  assert.match(run('true').stderr, /link: no such file or directory/);
  mkdirSync(path.join(directory, 'later'));
  writeFileSync(path.join(directory, 'huge'), '');
  const failed = jailbuild(
    ['export', 'true', '--to', 'oci-archive:link', '--platform', 'no/such/thing/at/all'],
    { cwd: directory },
  );
  assert.notEqual(failed.status, 0);
  assert.deepEqual(readdirSync(path.join(directory, 'later')), []);
  assert.equal(run('true').status, 0);
  assert.deepEqual(readdirSync(path.join(directory, 'later')), ['file.tar']);
  assert.ok(lstatSync(path.join(directory, 'link')).isSymbolicLink());
});

test('waiting for the reader of a fifo ends with a signal', needs('mkfifo'), async () => {
  const directory = tempDir();
  spawnSync('mkfifo', [path.join(directory, 'fifo')]);
  const child = spawn(process.execPath, [JAILBUILD, 'export', 'true', '--to', 'tar:fifo'], {
    cwd: directory,
    stdio: 'ignore',
  });
  await sleeps(child.pid);
  child.kill('SIGTERM');
  const status = await new Promise((resolve) => child.on('exit', resolve));
  assert.equal(status, 143);
});

test('the next output removes the temporary files of killed processes', async () => {
  const directory = tempDir();
  const output = draftFile(path.join(directory, 'mine'));
  const [name = ''] = readdirSync(directory);
  assert.match(name, /^\.jailbuild-\d+-[0-9a-f]+-\d+\.tmp$/);
  const gone = spawnSync('true').pid;
  const abandoned = name.replace(/-\d+-/, `-${gone}-`);
  const elsewhere = abandoned.replace(/-[0-9a-f]+-(\d+\.tmp)$/, '-abc-$1');
  writeFileSync(path.join(directory, abandoned), 'rest');
  writeFileSync(path.join(directory, elsewhere), 'of another machine');
  mkdirSync(path.join(directory, abandoned.replace('.tmp', '0.tmp'), 'blobs'), { recursive: true });

  const other = await openOutput(path.join(directory, 'other'));
  await other.append(Buffer.from('text'));
  other.commit();
  const left = readdirSync(directory);
  assert.deepEqual(left.sort(), [elsewhere, name, 'other'].sort());
  output.discard();
  assert.ok(!existsSync(path.join(directory, name)));
  assert.equal(readFileSync(path.join(directory, 'other'), 'utf8'), 'text');
});

test('a long name and a name that is not UTF-8 are accepted', async () => {
  const directory = tempDir();
  for (const name of ['n'.repeat(255), 'caf\udce9']) {
    const output = await openOutput(path.join(directory, name));
    await output.append(Buffer.from('x'));
    output.commit();
  }
  assert.deepEqual(readdirSync(directory, { encoding: 'latin1' }).sort(), [
    'café',
    'n'.repeat(255),
  ]);
});
