import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { exec, jailbuild } from '../support/cli.js';
import { fails } from '../support/fails.js';
import { needsRoot } from '../support/need.js';
import { makeSysroot } from '../support/sysroot.js';
import { tempDir } from '../support/temp-dir.js';
import { snapshot } from '../support/tree.js';

interface Finding {
  readonly kind: string;
  readonly path: string;
  readonly details: readonly string[];
}

/** Returns the findings about a jail as lines, and the exit status. */
function check(jail: string, ...args: readonly string[]) {
  const { status, stdout, stderr } = jailbuild(['check', jail, '--json', ...args]);
  assert.equal(stderr, '');
  const report = JSON.parse(stdout);
  assert.equal(report.status, status === 0 ? 'clean' : 'drift');
  const lines = report.findings.map(({ kind, path: at, details }: Finding) =>
    [kind, at, ...details].join(' '),
  );
  return { status, lines, unknown: report.unknown };
}

describe('check', needsRoot(), () => {
  const directory = tempDir();
  const pristine = path.join(directory, 'pristine');
  const host = path.join(directory, 'host');
  let libc = '';
  let tinfo = '';
  let count = 0;

  before(() => {
    makeSysroot(directory, 'ls', 'bash');
    const { status, stderr } = jailbuild([pristine, 'ls', 'bash', '--sysroot', host, '-q']);
    assert.equal(status, 0, stderr);
    const real = (name: string) => realpathSync(path.join(host, name)).slice(host.length);
    libc = exec('find', [host, '-name', 'libc.so.6', '-printf', '/%P']).stdout;
    tinfo = real(exec('find', [host, '-name', 'libtinfo.so.6', '-printf', '/%P']).stdout);
  });

  /** Copies the jail for one test to damage; its record is not older than its files. */
  function jail(): string {
    const copy = path.join(directory, `jail-${count++}`);
    assert.equal(exec('cp', ['-a', pristine, copy]).status, 0);
    // cp(1) copies in any order and may be slow on a loaded machine: this renews the ctime.
    const record = path.join(copy, '.jailbuild/record.json');
    chmodSync(record, lstatSync(record).mode & 0o7777);
    return copy;
  }

  const finds = (
    name: string,
    spoil: (jail: string) => void,
    expected: () => readonly (string | RegExp)[],
  ) =>
    test(name, () => {
      const root = jail();
      spoil(root);
      const { status, lines } = check(root);
      assert.equal(status, 3);
      const wanted = expected();
      assert.equal(lines.length, wanted.length, lines.join('\n'));
      for (const [index, line] of lines.entries()) {
        const pattern = wanted[index];
        if (pattern instanceof RegExp) assert.match(line, pattern);
        else assert.equal(line, pattern);
      }
    });

  test('reports an unchanged jail as clean, and changes nothing by reading it', () => {
    const root = jail();
    const before = snapshot(root);
    assert.deepEqual(check(root), { status: 0, lines: [], unknown: [] });
    assert.deepEqual(check(root, '--quick').status, 0);
    assert.deepEqual(snapshot(root), before);
    const { stdout, status } = jailbuild(['check', root]);
    assert.equal(status, 0);
    assert.match(stdout, /^Clean: \d+ entries as built\n$/);
  });

  finds(
    'missing: a removed file, and what needs it',
    (root) => unlinkSync(root + tinfo),
    () => [`missing ${tinfo}`, /^unresolved \/usr\/bin\/bash libtinfo\.so\.6$/],
  );
  finds(
    'missing: files below a removed directory',
    (root) => rmSync(`${root}/etc`, { recursive: true }),
    () =>
      ['missing /etc', 'missing /etc/ld.so.cache', 'missing /etc/nsswitch.conf'].filter((line) =>
        existsSync(`${pristine}/${line.split(' /')[1]}`),
      ),
  );
  finds(
    'changed: content of the same length and time',
    (root) => {
      const at = `${root}/usr/bin/ls`;
      const { atime, mtime } = lstatSync(at);
      const bytes = readFileSync(at);
      bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
      writeFileSync(at, bytes);
      utimesSync(at, atime, mtime);
    },
    () => [/^changed \/usr\/bin\/ls (mtime )?content$/],
  );
  finds(
    'changed: size and time',
    (root) => appendFileSync(`${root}/usr/bin/ls`, 'x'),
    () => [/^changed \/usr\/bin\/ls mtime size \d+ -> \d+$/],
  );
  finds(
    'changed: mode',
    (root) => chmodSync(`${root}/usr/bin/ls`, 0o700),
    () => ['changed /usr/bin/ls mode 0755 -> 0700'],
  );
  finds(
    'changed: owner, of a link as well',
    (root) => lchownSync(`${root}/bin`, 1000, 1001),
    () => ['changed /bin uid 0 -> 1000 gid 0 -> 1001'],
  );
  finds(
    'changed: the target of a link',
    (root) => {
      const { mtime } = lstatSync(`${root}/bin`);
      unlinkSync(`${root}/bin`);
      symlinkSync('/etc', `${root}/bin`);
      exec('touch', ['-h', '-d', mtime.toISOString(), `${root}/bin`]);
    },
    () => [/^changed \/bin (mtime )?target usr\/bin -> \/etc$/],
  );
  finds(
    'changed: type; what the link leads to is not looked at',
    (root) => {
      rmSync(`${root}/etc`, { recursive: true });
      symlinkSync('/etc', `${root}/etc`);
    },
    () => [
      ...['missing /etc/ld.so.cache', 'missing /etc/nsswitch.conf'].filter((line) =>
        existsSync(`${pristine}/${line.split(' /')[1]}`),
      ),
      'changed /etc type directory -> symlink',
    ],
  );
  finds(
    'foreign: an unplanned program and library, whole directories once',
    (root) => {
      copyFileSync('/bin/true', `${root}/usr/bin/extra`);
      mkdirSync(`${root}/usr/lib/more/deep`, { recursive: true });
      writeFileSync(`${root}/etc/ld.so.preload`, '/usr/lib/evil.so');
      // Neither the loader nor a shell searches there.
      mkdirSync(`${root}/home/user`, { recursive: true });
      writeFileSync(`${root}/home/user/notes`, 'mine');
    },
    () => [
      'foreign /etc/ld.so.preload file',
      'foreign /usr/bin/extra file',
      'foreign /usr/lib/more directory',
      'foreign /usr/lib/more/deep directory',
    ],
  );
  finds(
    'foreign: a device anywhere',
    (root) => {
      mkdirSync(`${root}/home`);
      assert.equal(exec('mknod', [`${root}/home/disk`, 'b', '8', '0']).status, 0);
    },
    () => ['foreign /home/disk block-device'],
  );
  finds(
    'set-id: an unplanned set-ID file anywhere',
    (root) => {
      mkdirSync(`${root}/tmp`);
      writeFileSync(`${root}/tmp/shell`, 'x');
      chmodSync(`${root}/tmp/shell`, 0o4755);
      chmodSync(`${root}/usr/bin/ls`, 0o2755);
    },
    () => [
      'changed /usr/bin/ls mode 0755 -> 2755',
      'set-id /tmp/shell mode 4755',
      'set-id /usr/bin/ls mode 2755',
    ],
  );
  finds(
    'writable: system directories, and the jail itself',
    (root) => {
      chmodSync(root, 0o777);
      chmodSync(`${root}/usr/lib`, 0o775);
      mkdirSync(`${root}/tmp`);
      chmodSync(`${root}/tmp`, 0o1777);
    },
    () => [
      'changed /usr/lib mode 0755 -> 0775',
      'writable / mode 0777',
      'writable /usr/lib mode 0775',
    ],
  );
  finds(
    'unresolved: a file that is no longer a program, others beside it are checked',
    (root) => {
      const { size } = lstatSync(`${root}/usr/bin/ls`);
      writeFileSync(`${root}/usr/bin/ls`, Buffer.alloc(size));
      unlinkSync(root + tinfo);
    },
    () => [
      `missing ${tinfo}`,
      /^changed \/usr\/bin\/ls mtime content$/,
      /^unresolved \/usr\/bin\/bash libtinfo\.so\.6$/,
      /^unresolved \/usr\/bin\/ls \/usr\/bin\/ls: is neither an ELF file/,
    ],
  );

  test('stale: changed or missing sources, unless ignored with --ignore', () => {
    const root = jail();
    const source = host + libc;
    renameSync(`${host}${tinfo}`, `${host}${tinfo}.away`);
    const bytes = readFileSync(source);
    const { atime, mtime } = lstatSync(source);
    appendFileSync(source, 'x');
    try {
      const { status, lines, unknown } = check(root);
      assert.equal(status, 3);
      assert.ok(lines.includes(`stale ${tinfo} source: is gone`), lines.join('\n'));
      assert.ok(lines.some((line: string) => line.startsWith(`stale ${libc} size `)));
      assert.ok(lines.every((line: string) => line.startsWith('stale ')));
      // Neither a digest nor the source shows the original content.
      assert.deepEqual([...unknown].sort(), [tinfo, libc].sort());
      assert.deepEqual(check(root, '--ignore', 'stale').status, 0);
      appendFileSync(`${root}/home-made`, '');
      exec('touch', ['-a', root + libc]);
      const touched = check(root, '--ignore', 'stale').lines;
      assert.deepEqual(touched, [`changed ${libc} content: was touched since the build`]);
    } finally {
      writeFileSync(source, bytes);
      utimesSync(source, atime, mtime);
      renameSync(`${host}${tinfo}.away`, `${host}${tinfo}`);
    }
  });

  test('needs no sources if the record has digests', () => {
    const root = path.join(directory, 'digests');
    const own = makeSysroot(path.join(directory, 'own'), 'ls');
    assert.equal(jailbuild([root, 'ls', '--sysroot', own, '--digests', '-q']).status, 0);
    rmSync(own, { recursive: true });
    assert.deepEqual(check(root, '--ignore', 'stale'), { status: 0, lines: [], unknown: [] });
    const at = `${root}/usr/bin/ls`;
    const { atime, mtime } = lstatSync(at);
    const bytes = readFileSync(at);
    bytes[100] = (bytes[100] ?? 0) ^ 1;
    writeFileSync(at, bytes);
    utimesSync(at, atime, mtime);
    assert.match(
      check(root, '--ignore', 'stale').lines.join(),
      /^changed \/usr\/bin\/ls (mtime )?content$/,
    );
    // lstat(2) does not detect this.
    assert.doesNotMatch(check(root, '--ignore', 'stale', '--quick').lines.join(), /content/);
  });

  test('also compares capabilities if the record has digests', needsRoot('setcap'), () => {
    const root = path.join(directory, 'capabilities');
    assert.equal(exec('setcap', ['cap_net_raw=ep', `${host}/usr/bin/ls`]).status, 0);
    assert.equal(jailbuild([root, 'ls', '--sysroot', host, '--digests', '-q']).status, 0);
    assert.equal(check(root).status, 0);
    assert.equal(exec('setcap', ['-r', `${root}/usr/bin/ls`]).status, 0);
    assert.equal(exec('setcap', ['-r', `${host}/usr/bin/ls`]).status, 0);
    assert.deepEqual(check(root).lines, ['changed /usr/bin/ls security.capability']);
  });

  test('finds unplanned capabilities without digests as well', needsRoot('setcap'), () => {
    const root = path.join(directory, 'granted');
    const setcap = (...args: readonly string[]) => assert.equal(exec('setcap', args).status, 0);
    setcap('cap_net_raw=ep', `${host}/usr/bin/ls`);
    const built = jailbuild([root, 'ls', 'bash', '--sysroot', host, '--json']);
    const told =
      /^copied with set-user-ID, set-group-ID or capabilities: \/usr\/bin\/ls \(cap_net_raw=ep\); /;
    assert.match(JSON.parse(built.stdout).warnings.join('\n'), told);
    assert.match(built.stderr, /^jailbuild: warning: copied with [^\n]*\n$/);
    // The record contains it, whatever happens to the host.
    setcap('-r', `${host}/usr/bin/ls`);
    assert.deepEqual(check(root).lines, []);
    setcap('cap_sys_admin,cap_chown=eip', `${root}/usr/bin/bash`);
    writeFileSync(`${root}/tmp-tool`, 'tool', { mode: 0o755 });
    setcap('cap_kill=p', `${root}/tmp-tool`);
    const rights = [
      'set-id /tmp-tool capabilities cap_kill=p',
      'set-id /usr/bin/bash capabilities cap_chown,cap_sys_admin=eip',
    ];
    assert.deepEqual(check(root).lines, rights);
    assert.deepEqual(check(root, '--quick').lines, rights);
    setcap('-r', `${root}/usr/bin/ls`);
    assert.deepEqual(check(root).lines, ['changed /usr/bin/ls security.capability', ...rights]);
    const archive = ['--to', `tar:${directory}/granted.tar`];
    const exported = jailbuild(['export', root, ...archive, '--json']);
    const [warning] = JSON.parse(exported.stdout).warnings;
    assert.match(
      warning,
      /\/tmp-tool \(cap_kill=p\), \/usr\/bin\/bash \(cap_chown,cap_sys_admin=eip\);/,
    );
    assert.equal(exported.stderr, `jailbuild: warning: ${warning}\n`);
  });

  test('reports set-ID programs once, where they are copied', () => {
    const root = path.join(directory, 'set-id');
    const programs = ['s1', 's2', 's3', 's4', 's5', 's6', 's7'].map((name) => {
      copyFileSync(`${host}/usr/bin/ls`, `${host}/usr/bin/${name}`);
      chmodSync(`${host}/usr/bin/${name}`, 0o4755);
      return name;
    });
    const args = [root, ...programs, '--sysroot', host];
    const warnings = (...more: readonly string[]) => {
      const { status, stderr } = jailbuild([...args, '-q', ...more]);
      assert.equal(status, 0, stderr);
      return stderr;
    };
    const told =
      /^jailbuild: warning: copied [^\n]*: \/usr\/bin\/s1 \(mode 4755\), [^\n]* and 2 more; [^\n]*\n$/;
    assert.match(warnings('--dry-run'), told);
    assert.match(warnings(), told);
    assert.equal(warnings(), '');
    const refused = jailbuild([...args, '--forbid-set-id']);
    assert.equal(refused.status, 1);
    for (const name of programs) rmSync(`${host}/usr/bin/${name}`);
  });

  test('prints one line per finding, grouped, and the totals', () => {
    const root = jail();
    writeFileSync(`${root}/usr/bin/e\nvil`, '');
    chmodSync(`${root}/usr/bin/ls`, 0o700);
    const { status, stdout } = jailbuild(['check', root]);
    assert.equal(status, 3);
    const lines = stdout.split('\n');
    assert.equal(lines[0], 'changed     /usr/bin/ls: mode 0755 -> 0700');
    assert.equal(lines[1], 'foreign     /usr/bin/e\\x0avil: file');
    assert.match(lines[2] ?? '', /^\d+ entries: 1 changed, 1 foreign$/);
    const quiet = jailbuild(['check', root, '--quiet']);
    assert.deepEqual([quiet.status, quiet.stdout], [3, '']);
  });

  test('does not look into mounts inside the jail', needsRoot('mount', 'umount'), () => {
    const root = jail();
    mkdirSync(`${root}/usr/lib/mnt`);
    assert.equal(exec('mount', ['-t', 'tmpfs', 'tmpfs', `${root}/usr/lib/mnt`]).status, 0);
    try {
      writeFileSync(`${root}/usr/lib/mnt/shell`, '');
      chmodSync(`${root}/usr/lib/mnt/shell`, 0o4755);
      const { lines } = check(root);
      assert.deepEqual(
        lines.filter((line: string) => line.includes('shell')),
        [],
      );
    } finally {
      exec('umount', [`${root}/usr/lib/mnt`]);
    }
  });

  test('refuses a directory without a record, and an unknown kind of finding', () => {
    fails('RECORD_MISSING', /^.*: has no record of a build.*$/, ['check', tempDir()]);
    fails('USAGE', /--ignore dust: the kinds are missing, changed/, [
      'check',
      pristine,
      '--ignore',
      'dust',
    ]);
  });
});
