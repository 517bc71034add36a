import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import type { Manifest } from '../../src/manifest/manifest.js';
import { parseNsswitch } from '../../src/resolve/process/name-service.js';
import { exec, jailbuild } from '../support/cli.js';
import { fails } from '../support/fails.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const directory = tempDir();
const cc = (...args: string[]) => {
  const { status, stderr } = exec('cc', args, { cwd: directory });
  assert.equal(status, 0, stderr);
};
const source = (name: string, text: string): void =>
  writeFileSync(path.join(directory, name), text);

function build(name: string, ...args: string[]): string {
  const jail = path.join(directory, name);
  const { status, stderr } = jailbuild([jail, ...args]);
  assert.equal(stderr, '');
  assert.equal(status, 0);
  return jail;
}

function plan(...args: string[]): Manifest {
  const { stdout, stderr, status } = jailbuild([
    '/nonexistent/jail',
    ...args,
    '--dry-run',
    '--json',
  ]);
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout);
}

/** A note after the specification of systemd. */
const note = (json: string, flags = 'a') => `
__asm__(".pushsection .note.dlopen,\\"${flags}\\",%note\\n"
        ".balign 4\\n.long 4\\n.long 2f-1f\\n.long 0x407c0c0a\\n.asciz \\"FDO\\"\\n"
        "1: .asciz \\"${json.replaceAll('"', '\\\\\\"')}\\"\\n2: .balign 4\\n.popsection");
`;

describe('.note.dlopen', needsRoot('cc', 'chroot', 'objcopy'), () => {
  const lib = path.join(directory, 'lib');
  const program = path.join(directory, 'opener');

  before(() => {
    mkdirSync(lib);
    for (const name of ['must', 'may', 'might', 'second', 'deep']) {
      source(`${name}.c`, `int ${name}(void) { return 1; }`);
      cc('-shared', '-fPIC', '-o', `lib/lib${name}.so`, `${name}.c`, `-Wl,-soname,lib${name}.so`);
    }
    source('must.c', 'int deep(void); int must(void) { return deep(); }');
    cc(
      ...['-shared', '-fPIC', '-o', 'lib/libmust.so', 'must.c', '-Llib', '-ldeep'],
      '-Wl,-rpath,$ORIGIN',
    );
    source(
      'opener.c',
      `#include <dlfcn.h>
#include <stdio.h>
${note('[{"soname":["libmust.so"],"feature":"x","priority":"required"},{"soname":["libfirst.so","libsecond.so"],"priority":"required"}]')}
${note('[{"soname":["libmay.so"]},{"soname":["libmight.so"],"priority":"suggested"},{"soname":["libnone.so"]}]')}
int main(void) {
  const char *names[] = {"libmust.so", "libsecond.so", "libmay.so", "libmight.so"};
  for (int i = 0; i < 4; i++) printf("%d", dlopen(names[i], RTLD_NOW) != NULL);
  puts("");
  return 0;
}`,
    );
    // Without /proc, as in a plain chroot, glibc cannot resolve $ORIGIN.
    cc('-o', 'opener', 'opener.c', `-Wl,--enable-new-dtags,-rpath,${lib}`);
  });

  const found = (jail: string) => exec('chroot', [jail, program]).stdout;

  test('required libraries are added by default, others on request', () => {
    assert.equal(found(build('note-default', program)), '1100\n');
    assert.equal(found(build('note-recommended', program, '--dlopen', 'recommended')), '1110\n');
    assert.equal(found(build('note-suggested', program, '--dlopen', 'suggested')), '1111\n');
    assert.equal(found(build('note-none', program, '--dlopen', 'none')), '0000\n');
  });

  test('each library has its reason, and its dependencies are added', () => {
    const { entries } = plan(program);
    const must = entries.find(({ path: at }) => at.endsWith('/libmust.so'));
    assert.deepEqual(must?.reasons, [
      {
        ...{ kind: 'dlopen', by: program, name: 'libmust.so', rule: 'runpath' },
        ...{ priority: 'required', feature: 'x' },
      },
    ]);
    assert.ok(entries.some(({ path: at }) => at.endsWith('/libdeep.so')));
  });

  test('a missing required library is an error with the searched paths', () => {
    source(
      'unmet.c',
      `${note('[{"soname":["libgone.so","libgone2.so"],"priority":"required"}]')} int main(void) { return 0; }`,
    );
    cc('-o', 'unmet', 'unmet.c');
    const unmet = path.join(directory, 'unmet');
    const { status, stderr } = jailbuild([path.join(directory, 'note-unmet'), unmet]);
    assert.equal(status, 1);
    assert.match(
      stderr,
      /libgone\.so or libgone2\.so: library not found, needed by .*\/unmet; searched /,
    );
    assert.equal(
      jailbuild(['/nonexistent/jail', unmet, '--dry-run', '--dlopen', 'none']).status,
      0,
    );
  });

  test('a note outside of all segments is read, and a malformed one causes a warning', () => {
    const json = '[{"soname":["libmust.so"],"priority":"required"}]';
    source('plain.c', 'int main(void) { return 0; }');
    cc('-o', 'plain', 'plain.c', `-Wl,-rpath,${directory}/lib`);
    const make = (name: string, text: string): string => {
      const bytes = Buffer.alloc(16 + Math.ceil((text.length + 1) / 4) * 4);
      bytes.writeUInt32LE(4, 0);
      bytes.writeUInt32LE(text.length + 1, 4);
      bytes.writeUInt32LE(0x407c0c0a, 8);
      bytes.write(`FDO\0${text}`, 12, 'latin1');
      writeFileSync(path.join(directory, `${name}.note`), bytes);
      const { status, stderr } = exec(
        'objcopy',
        ['--add-section', `.note.dlopen=${name}.note`, 'plain', name],
        { cwd: directory },
      );
      assert.equal(status, 0, stderr);
      return path.join(directory, name);
    };
    const added = make('added', json);
    assert.ok(plan(added).entries.some(({ path: at }) => at.endsWith('/libmust.so')));
    const { warnings } = plan(make('malformed', '[{]'));
    assert.deepEqual(warnings, [
      `${path.join(directory, 'malformed')}: malformed ELF file: dlopen note is not JSON`,
    ]);
  });
});

test(
  'a shell that others start reads users from files only, one that is asked for reads all',
  needsRoot('zip', 'dash', '/var/lib/dpkg/info'),
  () => {
    const asked = build('shell-asked', 'zip', '/bin/sh', '--with-package');
    const started = build('shell-started', 'zip', '--with-package');
    for (const [jail, there] of [
      [asked, true],
      [started, false],
    ] as const) {
      assert.ok(existsSync(path.join(jail, 'bin/sh')), jail);
      assert.equal(existsSync(path.join(jail, 'etc/nsswitch.conf')), there, jail);
    }
  },
);

test('nsswitch.conf is read as glibc reads it', () => {
  const conf = parseNsswitch(
    'passwd: files [NOTFOUND=return] systemd # x\n#group: a\n hosts:\tfiles  dns[!UNAVAIL=return]\nbad\n',
  );
  assert.deepEqual(
    [...conf],
    [
      ['passwd', ['files', 'systemd']],
      ['hosts', ['files', 'dns']],
    ],
  );
});

describe('name service modules', needsRoot('cc', 'chroot', 'id'), () => {
  let root: string;

  before(() => {
    root = build('nss-root', 'id', 'ls', 'true', 'bash', '--nss', 'none', '--terminfo', 'none');
    source('helper.c', 'int helper(void) { return 4711; }');
    source(
      'nss.c',
      `#include <nss.h>
#include <pwd.h>
#include <string.h>
int helper(void);
enum nss_status _nss_test_getpwnam_r(const char *name, struct passwd *pw, char *buf, size_t size, int *err) {
  if (strcmp(name, "tester") != 0 || size < 32) return NSS_STATUS_NOTFOUND;
  strcpy(buf, "tester");
  pw->pw_name = pw->pw_gecos = pw->pw_passwd = buf;
  pw->pw_dir = pw->pw_shell = buf + 6;
  pw->pw_uid = pw->pw_gid = helper();
  return NSS_STATUS_SUCCESS;
}`,
    );
    const libraries = path.dirname(
      exec('find', [path.join(root, 'usr/lib'), '-name', 'libc.so.6']).stdout.trim(),
    );
    mkdirSync(path.join(libraries, 'test'));
    cc('-shared', '-fPIC', '-o', `${libraries}/test/libhelper.so`, 'helper.c');
    cc(
      ...['-shared', '-fPIC', '-o', `${libraries}/libnss_test.so.2`, 'nss.c'],
      ...[`-L${libraries}/test`, '-lhelper', '-Wl,-soname,libnss_test.so.2,-rpath,$ORIGIN/test'],
    );
    cc(
      '-shared',
      '-fPIC',
      '-o',
      `${libraries}/libnss_other.so.2`,
      'helper.c',
      '-Wl,-soname,libnss_other.so.2',
    );
    writeFileSync(
      path.join(root, 'etc/nsswitch.conf'),
      'passwd: files test\ngroup: files gone\nhosts: files other\nshadow: other\n',
    );
  });

  test('are added with their dependencies for the databases in use, and work', () => {
    const jail = build('nss-jail', 'id', '--sysroot', root);
    assert.match(exec('chroot', [jail, 'id', 'tester']).stdout, /^uid=4711/);
    const files = exec('find', [jail, '-name', 'libnss_*']).stdout;
    assert.match(files, /libnss_test\.so\.2\n/);
    assert.doesNotMatch(files, /libnss_other/);
    const without = build('nss-none', 'id', '--sysroot', root, '--nss', 'none');
    assert.notEqual(exec('chroot', [without, 'id', 'tester']).status, 0);
    assert.ok(!existsSync(path.join(without, 'etc/nsswitch.conf')));
  });

  test('have their reasons, and a missing one is a hint', () => {
    const { entries, hints = [], warnings } = plan('id', '--sysroot', root);
    const reasons = (end: string) => entries.find(({ path: at }) => at.endsWith(end))?.reasons;
    assert.deepEqual(reasons('/libnss_test.so.2')?.slice(0, 1), [
      {
        ...{ kind: 'nss-module', by: '/usr/bin/id', service: 'test', databases: 'passwd' },
        rule: 'default',
      },
    ]);
    assert.ok(reasons('/etc/nsswitch.conf')?.some(({ kind }) => kind === 'nsswitch'));
    assert.deepEqual(warnings, []);
    assert.ok(
      hints.some((hint) => hint.endsWith('not installed: gone')),
      hints.join('\n'),
    );
    const calm = plan('true', '--sysroot', root);
    assert.ok(!calm.entries.some(({ path: at }) => at === '/etc/nsswitch.conf'));
  });

  test('are part of the verification of the jail', () => {
    const jail = build('nss-verified', 'id', '--sysroot', root);
    const helper = exec('find', [jail, '-name', 'libhelper.so']).stdout.trim();
    writeFileSync(helper, readFileSync(path.join(directory, 'nss.c')));
    fails('VERIFY_FAILED', /^in the jail: .*libhelper\.so/, [
      jail,
      'id',
      '--sysroot',
      root,
      '--no-clobber',
      '--quiet',
    ]);
  });
});

test('files that may be needed are listed on request, not by default', needsRoot('bash'), () => {
  const jail = path.join(directory, 'hints');
  const calm = jailbuild([jail, 'bash']);
  assert.deepEqual([calm.stderr, calm.status], ['', 0]);
  const verbose = jailbuild([jail, 'bash', '--verbose']);
  assert.match(
    verbose.stderr,
    /^jailbuild: hint: locales other than C \(bash.*\): add --locale NAME$/m,
  );
  const table = jailbuild([jail, 'bash', '--dry-run']).stdout;
  assert.match(
    table,
    /^Hint: user and group names \(bash.*\): add \/etc\/passwd and \/etc\/group\.$/m,
  );
  const { hints } = JSON.parse(jailbuild([jail, 'bash', '--json', '--tz', 'host']).stdout);
  assert.ok(hints.length > 2);
  assert.ok(!hints.some((hint: string) => hint.includes('--tz')));
});
