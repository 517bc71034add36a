import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { parse } from 'yaml';
import { jailFileRequest } from '../../src/cli/options/request.js';
import { runOptions } from '../../src/cli/options/run.js';
import { JailbuildError } from '../../src/errors.js';
import { readJailFile } from '../../src/profile/jail-file.js';
import { jailSchemaText } from '../../src/tooling/schema.js';
import { jailbuild, PROJECT } from '../support/cli.js';
import { tempDir } from '../support/temp-dir.js';

const directory = tempDir();
const SCHEMA = path.join(PROJECT, 'templates/schema/jail.schema.json');

function jailFile(text: string): string {
  const file = path.join(directory, 'jail.yaml');
  writeFileSync(file, text);
  return file;
}

const WHOLE = `
root: jails/web
programs: [ls, ./server, /bin/bash]
profiles: [base, ./mine.yaml]
users:
  - alice
  - bob:1002:100
  - { name: carol, uid: 1003, home: /srv/carol, groups: [tty] }
includes:
  - etc/app.conf
  - { from: site, to: /var/www }
excludes: ['**/*.a']
terminfo: [xterm, vt100]
allow-missing: true
run:
  command: [bash, -l]
  hostname: web
  env: { A: 1, B: two }
image:
  entrypoint: /usr/bin/server
  cmd: [--port, 80]
  env: [LANG=C.UTF-8]
  labels: { version: 1.5 }
  layers: by-package
`;

test('a jail file is read with paths relative to its own directory', () => {
  const at = (name: string) => path.join(directory, name);
  const file = readJailFile(jailFile(WHOLE));
  assert.equal(file.root, at('jails/web'));
  assert.deepEqual(file.programs, ['ls', at('server'), '/bin/bash']);
  assert.deepEqual(file.profiles, ['base', at('mine.yaml')]);
  assert.deepEqual(file.users, [
    { name: 'alice' },
    { name: 'bob', uid: 1002, gid: 100 },
    { name: 'carol', uid: 1003, home: '/srv/carol', groups: ['tty'] },
  ]);
  assert.deepEqual(file.includes, [
    { from: at('etc/app.conf') },
    { from: at('site'), to: '/var/www' },
  ]);
  assert.deepEqual(file.run, {
    command: ['bash', '-l'],
    options: { hostname: 'web', env: ['A=1', 'B=two'] },
  });
  assert.deepEqual(file.image, {
    entrypoint: ['/usr/bin/server'],
    cmd: ['--port', '80'],
    env: ['LANG=C.UTF-8'],
    labels: { version: '1.5' },
    layers: 'by-package',
  });
});

test('paths of run options are relative to the file as well', () => {
  const at = (name: string) => path.join(directory, name);
  const { options, run } = readJailFile(
    jailFile(`
sbom: spdx
sbom-file: bill.json
run: { bind: [data:/data:ro, /srv], dev-bind: ./dev, seccomp: filter.bpf }
`),
  );
  assert.equal(options['sbom-file'], at('bill.json'));
  assert.deepEqual(run.options, {
    bind: [`${at('data')}:/data:ro`, '/srv'],
    'dev-bind': at('dev'),
    seccomp: at('filter.bpf'),
  });
  const { run: off } = readJailFile(jailFile('run: { seccomp: off }'));
  assert.deepEqual(off.options, { seccomp: 'off' });
});

test('so are those of every option that takes a path', () => {
  const at = (name: string) => path.join(directory, name);
  const { options, run } = readJailFile(
    jailFile(`
directory: [work]
library-path: lib:/opt/lib
run:
  ro-bind: ['a\\:b:/ab']
  bind-try: [cache:/cache]
  ro-bind-try: [./x]
  dev-bind-try: [/dev/kvm]
  mount: ['type=bind,"src=a,b",dst=/m', 'type=overlay,source=low,dst=/o,upperdir=up,workdir=/w', 'type=tmpfs,dst=/t']
  overlay: changes
  env-file: [env, ../env]
  pidns: ns/pid
  network: ns:net
  seccomp: [default, f.json]
`),
  );
  assert.deepEqual(options, {
    directory: [at('work')],
    'library-path': `${at('lib')}:/opt/lib`,
  });
  assert.deepEqual(run.options, {
    'ro-bind': [`${at('a\\:b')}:/ab`],
    'bind-try': [`${at('cache')}:/cache`],
    'ro-bind-try': [at('x')],
    'dev-bind-try': ['/dev/kvm'],
    mount: [
      `type=bind,"src=${at('a,b')}",dst=/m`,
      `type=overlay,source=${at('low')},dst=/o,upperdir=${at('up')},workdir=/w`,
      'type=tmpfs,dst=/t',
    ],
    overlay: at('changes'),
    'env-file': [at('env'), path.resolve(directory, '../env')],
    pidns: at('ns/pid'),
    network: `ns:${at('net')}`,
    seccomp: ['default', at('f.json')],
  });
  for (const [name, option] of Object.entries(runOptions)) {
    const complete = 'complete' in option ? option.complete : undefined;
    if (complete !== 'file' && complete !== 'directory') continue;
    let value: unknown;
    try {
      value = readJailFile(jailFile(`run: { ${name}: given }`)).run.options[name];
    } catch (error) {
      // A jail file has no such key.
      assert.match(String(error), /unknown key/);
      continue;
    }
    assert.equal(value, at('given'), name);
  }
});

test('a jail file becomes a request for the resolver', () => {
  const request = jailFileRequest(readJailFile(jailFile(WHOLE)));
  assert.deepEqual(request.terminfo, ['xterm', 'vt100']);
  assert.deepEqual(request.exclude, ['**/*.a']);
  assert.equal(request.users?.length, 3);
  assert.equal(request.programs[0], 'ls');
});

describe('a mistake in a jail file is reported with line and column', () => {
  const refused = (name: string, text: string, expected: RegExp) =>
    test(name, () => {
      const file = jailFile(text);
      assert.throws(
        () => readJailFile(file),
        (error: unknown) => {
          assert.ok(error instanceof JailbuildError);
          assert.equal(error.code, 'JAIL_FILE_INVALID');
          assert.equal(error.path, file);
          assert.ok(error.message.startsWith(`${file}:`));
          assert.match(error.message.slice(file.length), expected);
          assert.doesNotMatch(error.message, /\n/);
          return true;
        },
      );
    });

  refused(
    'a misspelt key',
    'root: x\nprogram: [ls]\n',
    /^:2:1: unknown key program; did you mean programs\?$/,
  );
  refused(
    'a misspelt option',
    'alow-missing: true',
    /^:1:1: unknown key alow-missing; did you mean allow-missing\?$/,
  );
  refused(
    'a misspelt nested key',
    'run:\n  hostnam: a',
    /^:2:3: unknown key hostnam; did you mean hostname\?$/,
  );
  refused(
    'a key unlike any other',
    'users:\n  - { name: a, favourite: b }',
    /^:2:16: unknown key favourite; known are name, uid, /,
  );
  refused(
    'a word instead of a list',
    'programs: ls',
    /^:1:11: programs must be a list, but is "ls"$/,
  );
  refused(
    'a number instead of a word',
    'programs:\n  - ls\n  - 7',
    /^:3:5: programs\[1\] must be text, but is 7$/,
  );
  refused(
    'a word that is not among the choices',
    'ld-cache: maybe',
    /^:1:11: ld-cache must be .*copy.* or none, but is "maybe"$/,
  );
  refused('an invalid user', 'users: ["a b"]', /^:1:9: users\[0\] is "a b", but must be NAME, /);
  refused('a user without a name', 'users: [{ uid: 3 }]', /^:1:9: users\[0\] lacks name$/);
  refused(
    'an id out of range',
    'users: [{ name: a, uid: 4294967295 }]',
    /^:1:25: users\[0\]\.uid is 4294967295/,
  );
  refused(
    'a relative place in the jail',
    'includes: [{ from: a, to: b }]',
    /^:1:27: includes\[0\]\.to is "b", but must be /,
  );
  refused(
    'a relative working directory of an image',
    'image: { workdir: app }',
    /^:1:19: image\.workdir is "app", but must be an absolute path$/,
  );
  refused('a list as the whole file', '- ls', /^:1:1: the file must be a map, but is a list$/);
  refused('a key twice', 'root: a\nroot: b', /^:2:1: map keys must be unique$/);
  refused('invalid YAML', 'root: [a\n', /^:\d:\d: /);
  refused(
    'an alias bomb',
    `a: &a [x,x,x,x,x,x,x,x,x,x]\n${[...'bcdefg'].map((name, index) => `${name}: &${name} [${Array(10).fill(`*${'abcdef'[index]}`).join(',')}]`).join('\n')}`,
    /alias/,
  );
});

describe('a message about a jail file begins with its name', () => {
  const says = (name: string, text: string, status: number, expected: string) =>
    test(name, () => {
      jailFile(text);
      const finished = jailbuild(['--insecure-parents'], { cwd: directory });
      // Users other than root get a warning.
      const stderr = finished.stderr.replace(/^.*not built as root.*\n/m, '');
      assert.equal(stderr, `jailbuild: ${expected}\n`);
      assert.equal(finished.status, status);
    });

  says(
    'no root',
    'programs: [ls]',
    2,
    'jail.yaml: has no root, and none is named: say where the jail is to be',
  );
  says(
    'no programs',
    'root: jail',
    2,
    'jail.yaml: has no programs and no profiles, and none are named',
  );
  says(
    'a value that `run` would refuse',
    'root: jail\nprograms: [ls]\nrun: { memory: lots }',
    1,
    'jail.yaml:3:16: run.memory lots: give a size such as 512m',
  );
  says(
    'an option that the jail does not record',
    'root: jail\nprograms: [ls]\nrun: { bind: [/srv], hostname: h }',
    0,
    'warning: jail.yaml: the jail does not remember --bind: give it to `jailbuild run` again',
  );
});

test('the file that `init` writes is a valid jail file, also with every comment enabled', () => {
  const template = readFileSync(path.join(PROJECT, 'templates/jail.yaml'), 'utf8');
  assert.deepEqual(readJailFile(jailFile(template)).programs, ['env', 'bash', 'ls']);
  // Explanations begin with one space.
  const whole = readJailFile(jailFile(template.replace(/^#(?! \S)/gm, '')));
  assert.deepEqual(whole.profiles, ['base', path.join(directory, 'my-profile.yaml')]);
  assert.equal(whole.users.length, 3);
  assert.equal(whole.image.entrypoint?.length, 1);
});

test('the published schema is valid and contains every option of build and run', () => {
  const text = readFileSync(SCHEMA, 'utf8');
  assert.equal(text, jailSchemaText(), 'run `npm run schema`');
  const ajv = new Ajv2020({ strict: true, allowUnionTypes: true });
  const validate = ajv.compile(JSON.parse(text));
  assert.equal(validate(parse(WHOLE)), true, ajv.errorsText(validate.errors));
  assert.equal(validate(parse('program: [ls]')), false);
});
