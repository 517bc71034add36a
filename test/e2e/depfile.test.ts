import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { depfile } from '../../src/manifest/depfile.js';
import { exec, JAILBUILD, jailbuild, succeed } from '../support/cli.js';
import { needs } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const directory = tempDir();
const at = (...names: readonly string[]) => path.join(directory, ...names);
const env = { ...process.env, XDG_CACHE_HOME: at('cache') };

/** Names that both make and ninja can read. */
const NAMES = [
  'plain',
  'two words',
  'hash#tag',
  'price$1',
  '$(shell) too',
  'colon:colon',
  'a=b',
  '100%',
  '[',
  'comma,parens(x)y',
  '~home',
  '-dash',
  'ümläut',
  'curly{x}@!+',
];

/** Sets a file's time to some seconds before or after now. */
function touch(file: string, seconds: number): void {
  const time = Date.now() / 1000 + seconds;
  utimesSync(file, time, time);
}

test('make and ninja read the same names from a depfile', needs('make', 'ninja'), () => {
  mkdirSync(at('names'));
  const files = NAMES.map((name) => at('names', name));
  for (const file of files) writeFileSync(file, '');
  const reset = () => {
    for (const file of files) touch(file, -100);
    writeFileSync(at('names.out'), '');
    touch(at('names.out'), -50);
  };
  const { text, unwritable } = depfile('names.out', [
    ...files,
    `${at('a')}\n`,
    at('b;c'),
    at('d\\e'),
    at('f"&|*?'),
    at('lib(member)'),
  ]);
  assert.deepEqual(unwritable, [
    `${at('a')}\n`,
    at('b;c'),
    at('d\\e'),
    at('f"&|*?'),
    at('lib(member)'),
  ]);
  writeFileSync(at('names.d'), text);
  writeFileSync(at('names.mk'), 'names.out:\n\ttouch $@\ninclude names.d\n');
  const rule =
    'rule make\n  command = cp names.d copy.d && touch names.out\n  depfile = copy.d\n  deps = gcc\n';
  writeFileSync(at('names.ninja'), `${rule}build names.out: make\n`);
  const make = () => exec('make', ['-q', '-f', 'names.mk'], { cwd: directory }).status;
  const ninja = () => exec('ninja', ['-f', 'names.ninja', '-n'], { cwd: directory }).stdout;
  reset();
  succeed('ninja', ['-f', 'names.ninja'], { cwd: directory });
  const known = succeed('ninja', ['-f', 'names.ninja', '-t', 'deps', 'names.out'], {
    cwd: directory,
  });
  for (const file of files) assert.ok(known.includes(`\n    ${file}\n`), `${file} in ${known}`);
  for (const file of files) {
    touch(file, -100);
    touch(at('names.out'), 0);
    for (const other of files) touch(other, -100);
    assert.equal(make(), 0, 'nothing has changed');
    touch(file, 100);
    assert.equal(make(), 1, `make does not notice ${file}`);
    assert.doesNotMatch(ninja(), /no work to do/, `ninja does not notice ${file}`);
  }
  reset();
  rmSync(at('names/two words'));
  assert.equal(exec('make', ['-q', '-f', 'names.mk'], { cwd: directory }).status, 1);
});

test(
  'an export is made again if and only if a file it depends on changes',
  needs('make', 'ninja', 'cc'),
  () => {
    const root = at('root');
    mkdirSync(path.join(root, 'bin'), { recursive: true });
    mkdirSync(path.join(root, 'opt/my libs'), { recursive: true });
    mkdirSync(at('work'));
    const work = at('work');
    writeFileSync(at('lib.c'), 'int one(void) { return 1; }\n');
    writeFileSync(at('main.c'), 'int one(void);\nint main(void) { return one(); }\n');
    const library = path.join(root, 'opt/my libs/libone.so');
    succeed('cc', ['-shared', '-fPIC', '-o', library, at('lib.c'), '-Wl,-soname,libone.so']);
    const program = path.join(root, 'bin/one');
    succeed('cc', ['-o', program, at('main.c'), library, '-Wl,-rpath,/opt/my libs']);
    for (const [, file = ''] of succeed('ldd', [program]).matchAll(/(\/\S+) \(0x/g)) {
      mkdirSync(path.dirname(root + file), { recursive: true });
      succeed('cp', ['-L', file, root + file]);
    }
    writeFileSync(at('unrelated'), '');
    const sources = [program, library];
    const settle = () => {
      succeed('find', [root, at('work'), '-exec', 'touch', '-h', '-d', '1 hour ago', '{}', '+']);
    };
    settle();
    const command = `"${process.execPath}" "${JAILBUILD}" export one --sysroot "${root}" --to tar:one.tar --depfile one.d --quiet && echo made >>log`;
    writeFileSync(
      at('work/Makefile'),
      `one.tar:\n\t${command.replaceAll('$', '$$$$')}\n-include one.d\n`,
    );
    writeFileSync(
      at('work/build.ninja'),
      `rule export\n  command = ${command}\n  depfile = one.d\n  deps = gcc\nbuild one.tar: export\n`,
    );
    const options = { cwd: work, env };
    const runs = () => readFileSync(at('work/log'), 'utf8').split('\n').length - 1;
    let rule = '';
    for (const [name, run] of [
      ['make', () => succeed('make', ['one.tar'], options)],
      ['ninja', () => succeed('ninja', [], options)],
    ] as const) {
      for (const made of ['one.tar', 'one.d', 'log']) rmSync(at('work', made), { force: true });
      settle();
      run();
      assert.equal(runs(), 1);
      // Ninja removes the depfile after reading it.
      if (name === 'make') rule = readFileSync(at('work/one.d'), 'utf8');
      run();
      touch(at('unrelated'), 100);
      run();
      assert.equal(runs(), 1, 'no file of the export has changed');
      for (const [index, file] of sources.entries()) {
        settle();
        touch(at('work/one.tar'), -10);
        touch(file, -5);
        run();
        assert.equal(runs(), index + 2, `${file} has changed`);
      }
    }
    assert.ok(rule.includes('/opt/my\\ libs/libone.so'), rule);
    assert.doesNotMatch(rule, /unrelated/);
  },
);

test('the rule of a build contains its jail file and profile', needs('make'), () => {
  mkdirSync(at('build'));
  const cwd = at('build');
  writeFileSync(at('build/own.yaml'), 'summary: Own\nprograms: [cat]\n');
  writeFileSync(at('build/jail.yaml'), 'root: jail\nprograms: [ls]\nprofiles: [./own.yaml]\n');
  const args = [
    '--file',
    'jail.yaml',
    '--depfile',
    'jail.d',
    '--depfile-target',
    'stamp',
    '--quiet',
  ];
  for (const round of ['new', 'unchanged']) {
    const built = jailbuild(args, { cwd, env });
    assert.equal(built.status, 0, built.stderr);
    const rule = readFileSync(at('build/jail.d'), 'utf8');
    assert.match(rule, /^stamp:/, round);
    for (const file of ['/jail.yaml', '/own.yaml', '/bin/ls', '/bin/cat', '/libc.so.6']) {
      assert.ok(rule.includes(`${file} `) || rule.includes(`${file}\n`), `${file}: ${round}`);
    }
  }
  const refused = jailbuild(['jail', 'ls', '--depfile', 'x.d', '--depfile-target', 'a=b'], {
    cwd,
    env,
  });
  assert.equal(refused.status, 2);
  assert.match(refused.stderr, /make and ninja cannot read this name: choose another/);
  const without = jailbuild(['export', 'ls', '--to', 'tar:-', '--depfile', 'x.d'], { cwd, env });
  assert.equal(without.status, 2);
  assert.match(without.stderr, /name the target with --depfile-target/);
});
