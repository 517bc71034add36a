import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { jailbuild, PROJECT } from '../support/cli.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

/** Mistakes in a jail file, and the message with their position. */
const WRONG: Readonly<Record<string, readonly [string, RegExp]>> = {
  'a command with spaces': [
    'root: jail\nprograms: [bash]\nrun:\n  command: "bash -c ls"\n',
    /^jailbuild: jail\.yaml:4:12: run\.command is "bash -c ls", but must be one word, or a list of words$/m,
  ],
  'a user that the jail does not have': [
    'root: jail\nprograms: [bash]\nrun:\n  user: nobodyhere\n',
    /^jailbuild: jail\.yaml:4:9: run\.user is nobodyhere, and the jail has no user nobodyhere: add it to users$/m,
  ],
  'a misspelt profile': [
    'root: jail\nprograms: [bash]\nprofiles:\n  - shell\n  - pyhton\n',
    /^jailbuild: jail\.yaml:5:5: pyhton: no such profile; did you mean python\?$/m,
  ],
  'a list folded into one word': [
    'root: jail\nprograms:\n  - bash\n    ls\n',
    /^jailbuild: jail\.yaml:3:5: programs\[0\] is "bash ls", but must be one program/m,
  ],
};

for (const [name, [text, message]] of Object.entries(WRONG)) {
  test(`${name} is refused with its position, and nothing is built`, () => {
    const directory = tempDir();
    writeFileSync(path.join(directory, 'jail.yaml'), text);
    for (const words of [['--no-sync'], ['--dry-run']]) {
      const { status, stderr } = jailbuild(words, { cwd: directory });
      assert.equal(status, 1, stderr);
      assert.match(stderr, message);
    }
    assert.ok(!existsSync(path.join(directory, 'jail')));
  });
}

test('a user from the jail file and a numeric user are accepted', needsRoot(), () => {
  for (const user of ['web', '1234', '1234:1234']) {
    const directory = tempDir();
    const text = `root: jail\nprograms: [bash]\nusers: ["web:1234"]\nrun:\n  user: "${user}"\n`;
    writeFileSync(path.join(directory, 'jail.yaml'), text);
    const { status, stderr } = jailbuild(['--no-sync'], { cwd: directory });
    assert.equal(status, 0, stderr);
  }
});

test('`schema` prints the schema of the package, and `init` refers to it', () => {
  for (const kind of ['jail', 'profile']) {
    const { stdout, status } = jailbuild(['schema', kind]);
    assert.equal(status, 0);
    assert.equal(
      stdout,
      readFileSync(path.join(PROJECT, `templates/schema/${kind}.schema.json`), 'utf8'),
    );
  }
  const directory = tempDir();
  assert.equal(jailbuild(['init'], { cwd: directory }).status, 0);
  const [first = ''] = readFileSync(path.join(directory, 'jail.yaml'), 'utf8').split('\n');
  const schema = /^# yaml-language-server: \$schema=(\/.*)$/.exec(first)?.[1] ?? '';
  assert.equal(JSON.parse(readFileSync(schema, 'utf8')).title, 'A jail file of jailbuild');
});

test('a user whose home contains the jail does not copy that home', needsRoot(), () => {
  const directory = tempDir();
  const sysroot = path.join(directory, 'sys');
  const home = path.join(directory, 'sys/home/me');
  mkdirSync(home, { recursive: true });
  mkdirSync(path.join(sysroot, 'etc'));
  writeFileSync(path.join(sysroot, 'etc/passwd'), 'me:x:1000:1000::/home/me:/bin/sh\n');
  writeFileSync(path.join(home, 'data'), 'x');
  const words = ['--sysroot', sysroot, '--user', 'me', '--include', '/home/me/data', '--profile'];
  writeFileSync(path.join(directory, 'empty.yaml'), 'summary: nothing\n');
  const { status, stderr } = jailbuild([
    path.join(home, 'jail'),
    ...words,
    `${directory}/empty.yaml`,
    '--no-sync',
  ]);
  assert.equal(status, 0, stderr);
});

test('a path with a NUL byte is refused with its position', () => {
  const cwd = tempDir();
  writeFileSync(path.join(cwd, 'jail.yaml'), 'root: "a\\0b"\nprograms: [bash]\n');
  const { status, stderr } = jailbuild([], { cwd });
  assert.equal(status, 1);
  assert.match(stderr, /^jailbuild: \S*jail\.yaml:1:7: root contains a NUL byte: remove it\n$/);
});

test('a host name of several words or lines, and an empty directory, are refused at build', () => {
  const cwd = tempDir();
  const says = (run: string): string => {
    writeFileSync(path.join(cwd, 'jail.yaml'), `root: jail\nprograms: [bash]\nrun:\n  ${run}\n`);
    const { status, stderr } = jailbuild([], { cwd });
    assert.equal(status, 1);
    return stderr;
  };
  const wanted = 'give a name without blanks, control characters and slashes';
  assert.equal(
    says('hostname: "a\\nb"'),
    `jailbuild: jail.yaml:4:13: run.hostname a\\x0ab: ${wanted}\n`,
  );
  for (const name of ['', ' ', 'a/b', 'a\\u2028b'])
    assert.ok(says(`hostname: "${name}"`).endsWith(`: ${wanted}\n`), name);
  assert.match(says('workdir: ""'), /:4:12: run\.workdir : give a directory of the jail\n$/);
  const long = 'h'.repeat(65);
  assert.equal(
    says(`hostname: ${long}`),
    `jailbuild: jail.yaml:4:13: run.hostname ${long}: give a name of at most 64 bytes\n`,
  );
});

test('a command line without programs is refused with the reason', () => {
  const cwd = tempDir();
  mkdirSync(path.join(cwd, 'jail'));
  const says = (...words: readonly string[]) => jailbuild(words, { cwd }).stderr;
  assert.match(
    says('jail', '--include', '/etc/hosts'),
    /--include alone does not make or change a jail/,
  );
  assert.match(says('ls'), /ls is taken for the directory of the jail/);
});

test('an error in the value of an option names line and column', () => {
  const cwd = tempDir();
  const cases: readonly (readonly [text: string, message: string])[] = [
    ['run: { memory: lots }', '3:16: run.memory lots: give a size such as 512m'],
    ['run: { cap-add: [NET_RAW, NOPE] }', '3:27: run.cap-add NOPE: no such capability'],
    ['run: { env: { "A=B": c } }', '3:22: run.env A=B: a name has no ='],
    ['image: { env: { "": c } }', '3:21: image.env has a variable without a name'],
    ['package-depends: many', '3:18: package-depends many: give a number of steps, or all'],
    ['max-size: x', '3:11: max-size x: give a size such as 512m'],
    ['forbid: [""]', '3:10: forbid has an empty pattern: leave it out'],
    [
      'proofs: { a: { command: ls, output: "(" } }',
      '3:37: Invalid regular expression: /(/m: Unterminated group',
    ],
  ];
  for (const [text, message] of cases) {
    writeFileSync(path.join(cwd, 'jail.yaml'), `root: jail\nprograms: [ls]\n${text}\n`);
    const { status, stderr } = jailbuild([], { cwd });
    assert.deepEqual([status, stderr], [1, `jailbuild: jail.yaml:${message}\n`]);
  }
  writeFileSync(path.join(cwd, 'jail.yaml'), 'root: jail\nprograms: [ls]\nmax-size: 1g\n');
  const given = jailbuild(['--max-size', 'x'], { cwd });
  assert.equal(given.stderr, 'jailbuild: --max-size x: give a size such as 512m\n');
});
