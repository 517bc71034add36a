import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { exec, JAILBUILD, jailbuild } from '../support/cli.js';
import { fails } from '../support/fails.js';
import { needs, needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';
import { sha256 } from './support.js';

function succeed(args: readonly string[], cwd?: string): string {
  const { status, stdout, stderr } = jailbuild(args, cwd === undefined ? {} : { cwd });
  assert.equal(status, 0, stderr);
  return stdout;
}

test('a jail file configures an image', needs('skopeo'), () => {
  const directory = tempDir();
  const lines = [
    'programs: [bash, ls]',
    'terminfo: none',
    'ld-cache: none',
    'image:',
    '  to: oci:made:v1',
    '  entrypoint: [/usr/bin/bash, -c]',
    '  cmd: [ls /]',
    '  env: { LANG: C, WHO: file }',
    '  labels: { org.example.version: 1.5 }',
    '  layers: by-library',
  ];
  writeFileSync(path.join(directory, 'jail.yaml'), `${lines.join('\n')}\n`);
  const elsewhere = path.join(directory, 'elsewhere');
  mkdirSync(elsewhere);
  succeed(['export', '--from', '../jail.yaml', '-e', 'WHO=line', '--label', 'more=x'], elsewhere);
  const image = `oci:${directory}/made:v1`;
  const config = JSON.parse(exec('skopeo', ['inspect', '--config', image]).stdout);
  assert.ok(config.rootfs.diff_ids.length > 3);
  assert.deepEqual(config.config, {
    Env: [
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      'LANG=C',
      'WHO=line',
    ],
    Entrypoint: ['/usr/bin/bash', '-c'],
    Cmd: ['ls /'],
    Labels: { more: 'x', 'org.example.version': '1.5' },
  });

  succeed(['export', '--to', 'tar:one.tar', '-q'], directory);
  succeed(
    ['export', 'bash', 'ls', '--terminfo', 'none', '--ld-cache', 'none', '--to', 'tar:two.tar'],
    directory,
  );
  assert.equal(sha256(`${directory}/one.tar`), sha256(`${directory}/two.tar`));
});

test('profiles and includes go into an image as into a jail', needsRoot('git', 'tar'), () => {
  const directory = tempDir();
  writeFileSync(path.join(directory, 'motd'), 'welcome\n');
  const include = ['--include', `${directory}/motd:/etc/motd`];
  const names = (...args: readonly string[]) => {
    succeed(['export', ...args, '--to', `tar:${directory}/x.tar`, '-q']);
    return exec('tar', ['-tf', `${directory}/x.tar`]).stdout.split('\n');
  };
  const image = names('--profile', 'git', ...include);
  assert.ok(image.includes('etc/passwd') && image.includes('etc/motd'));
  succeed([path.join(directory, 'jail'), '--profile', 'git', ...include, '-q']);
  assert.deepEqual(image, names(path.join(directory, 'jail')));
});

test(
  'variables set by profiles are in the environment of an image and of a run',
  needsRoot('skopeo'),
  () => {
    const directory = tempDir();
    const at = (name: string) => path.join(directory, name);
    const profile = at('own.yaml');
    writeFileSync(
      profile,
      'summary: own\ninclude: [locale]\nprograms: [env]\nenvironment: { A: own, B: own, C: own }\n',
    );
    const programs = ['--profile', profile, '--terminfo', 'none'];
    const environmentOf = (...args: readonly string[]): string[] => {
      succeed(['export', ...args, '--to', `oci:${directory}/image`, '-q'], directory);
      const { stdout } = exec('skopeo', ['inspect', '--config', `oci:${directory}/image`]);
      return JSON.parse(stdout).config.Env.slice(1);
    };
    const own = ['A=own', 'B=own', 'C=own', 'LANG=C.UTF-8'];
    assert.deepEqual(environmentOf(...programs), own);
    assert.deepEqual(environmentOf(...programs, '-e', 'B=line', '-e', 'D=line'), [
      ...['A=own', 'B=line', 'C=own', 'LANG=C.UTF-8', 'D=line'],
    ]);

    succeed([at('jail'), ...programs, '--manifest', at('plan.json'), '-q']);
    assert.deepEqual(environmentOf(at('jail')), own);
    assert.deepEqual(environmentOf('--from', at('plan.json')), own);

    const file = ['profiles: [./own.yaml]', 'terminfo: none', 'root: file-jail'];
    const settings = ['run: { env: { B: file } }', 'image: { env: { B: file } }'];
    writeFileSync(at('jail.yaml'), [...file, ...settings].join('\n'));
    const both = ['A=own', 'B=file', 'C=line', 'LANG=C.UTF-8'];
    assert.deepEqual(environmentOf('-e', 'C=line'), both);
    succeed(['-q'], directory);
    const lines = succeed(['run', at('file-jail'), '-e', 'C=line', '--', 'env']).split('\n');
    for (const variable of both) assert.ok(lines.includes(variable), variable);
  },
);

test('invalid environment variables are refused', () => {
  const profile = path.join(tempDir(), 'own.yaml');
  const refused: readonly (readonly [string, string])[] = [
    ['{ "A=B": x }', 'environment.A=B is "x", but must be a name without an equals sign'],
    ['{ A: "a\\0b" }', 'environment.A is "a\\u0000b", but must be text without NUL'],
  ];
  for (const [variables, message] of refused) {
    writeFileSync(profile, `summary: own\nprograms: [env]\nenvironment: ${variables}\n`);
    const { status, stderr } = jailbuild(['export', '--profile', profile, '--to', 'tar:-']);
    assert.equal(status, 1);
    assert.ok(stderr.includes(`: ${message}\n`), stderr);
  }
});

test('a manifest is exported unchanged, and refused if files differ from it', () => {
  const directory = tempDir();
  const program = path.join(directory, 'program');
  writeFileSync(program, readFileSync('/bin/ls'), { mode: 0o755 });
  const manifest = path.join(directory, 'plan.json');
  writeFileSync(manifest, succeed([`${directory}/x`, program, '--dry-run', '--json']));
  const archive = path.join(directory, 'plan.tar');
  succeed(['export', '--from', manifest, '--to', `tar:${archive}`]);
  succeed(['export', program, '--to', `tar:${archive}.2`]);
  assert.equal(sha256(archive), sha256(`${archive}.2`));

  const bytes = readFileSync(program);
  bytes[5000] = (bytes[5000] ?? 0) ^ 1;
  writeFileSync(program, bytes);
  const again = ['export', '--from', manifest, '--to', `tar:${directory}/changed.tar`];
  fails('SOURCE_CHANGED', /program: changed since it was planned/, again);
  writeFileSync(program, 'short');
  fails('SOURCE_CHANGED', /program: changed since it was planned/, again);
  assert.deepEqual(readdirSync(directory).sort(), [
    'plan.json',
    'plan.tar',
    'plan.tar.2',
    'program',
  ]);
});

test(
  "an exported jail contains its owner's files, but no state, sockets and mounts",
  needsRoot('mount', 'tar'),
  async () => {
    const directory = tempDir();
    const root = path.join(directory, 'jail');
    succeed([root, 'ls', '-q']);
    writeFileSync(`${root}/own`, 'mine');
    mkdirSync(`${root}/mnt`);
    assert.equal(exec('mount', ['-t', 'tmpfs', 'none', `${root}/mnt`]).status, 0);
    let server: Server | undefined;
    try {
      writeFileSync(`${root}/mnt/inside`, '');
      server = createServer().listen(`${root}/socket`);
      await new Promise((resolve) => server?.once('listening', resolve));
      const { stderr } = jailbuild(['export', root, '--to', `tar:${directory}/jail.tar`]);
      assert.match(stderr, /socket: is a socket: left out/);
      assert.match(stderr, /mnt: is a mount point, its content is left out/);
    } finally {
      server?.close();
      exec('umount', [`${root}/mnt`]);
    }
    const names = exec('tar', ['-tf', `${directory}/jail.tar`]).stdout.split('\n');
    assert.ok(names.includes('own') && names.includes('mnt/') && names.includes('usr/bin/ls'));
    const others = ['mnt/inside', 'socket', '.jailbuild/'];
    assert.deepEqual(
      names.filter((name) => others.includes(name)),
      [],
    );
  },
);

test(
  'capabilities are exported, from programs and from a jail',
  needsRoot('setcap', 'getcap', 'tar'),
  () => {
    const directory = tempDir();
    const program = path.join(directory, 'program');
    writeFileSync(program, readFileSync('/bin/ls'), { mode: 0o755 });
    assert.equal(exec('setcap', ['cap_net_raw=ep', program]).status, 0);
    const root = path.join(directory, 'jail');
    succeed([root, program, '-q']);
    for (const what of [program, root]) {
      const archive = path.join(directory, 'x.tar');
      succeed(['export', what, '--to', `tar:${archive}`, '-q']);
      const unpacked = path.join(directory, `from-${path.basename(what)}`);
      mkdirSync(unpacked);
      exec('tar', ['-xpf', archive, '-C', unpacked, '--xattrs', '--xattrs-include=*']);
      assert.match(exec('getcap', [unpacked + program]).stdout, /cap_net_raw=ep/);
    }
  },
);

test('standard output accepts archives', needs('tar', 'skopeo'), () => {
  const directory = tempDir();
  const cli = `${process.execPath} ${JAILBUILD} export ls`;
  const shell = (line: string) => exec('sh', ['-c', line], { cwd: directory });
  assert.match(shell(`${cli} --to tar:- | tar -t`).stdout, /^usr\/bin\/ls$/m);
  assert.equal(shell(`${cli} --to docker-archive:-:x:y > x.tar`).status, 0);
  const inspected = JSON.parse(shell('skopeo inspect docker-archive:x.tar').stdout);
  assert.equal(inspected.Os, 'linux');
  const closed = shell(`${cli} --to tar:- 2>err | head -c 100 >/dev/null; cat err`);
  assert.match(closed.stdout, /standard output: broken pipe/);
});

test('a failed export leaves nothing behind', () => {
  const directory = tempDir();
  const file = path.join(directory, 'taken');
  writeFileSync(file, 'precious');
  mkdirSync(path.join(directory, 'directory'));
  const to = (place: string, program = 'ls') => ['export', program, '--to', place];
  fails('CONFLICT', /taken: exists and is not an OCI image layout/, to(`oci:${file}`));
  fails('CONFLICT', /is not an OCI image layout/, to(`oci:${directory}/directory`));
  fails('WRITE_FAILED', /directory: is a directory/, to(`tar:${directory}/directory`));
  fails('WRITE_FAILED', /no such file or directory/, to(`tar:${directory}/no/where`));
  fails('WRITE_FAILED', /no such file or directory/, to(`oci:${directory}/no/where`));
  fails(
    'NOT_ELF',
    /hostname: is neither an ELF file nor a script/,
    to(`oci:${directory}/new`, '/etc/hostname'),
  );
  assert.deepEqual(readdirSync(directory).sort(), ['directory', 'taken']);
  assert.equal(readFileSync(file, 'utf8'), 'precious');
});

test('a signal stops an export without leftovers', needs('truncate'), async () => {
  const directory = tempDir();
  const root = path.join(directory, 'jail');
  mkdirSync(root);
  // Takes a while to export: zeros that use no disk space.
  assert.equal(exec('truncate', ['-s', '20G', `${root}/large`]).status, 0);
  const to = ['--to', `oci:${directory}/image`, '--platform', 'linux/amd64'];
  const child = spawn(process.execPath, [JAILBUILD, 'export', root, ...to], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = once(child, 'exit');
  const stderr = text(child.stderr);
  // The export is running once its draft exists.
  while (readdirSync(directory).length < 2 && child.exitCode === null) await setTimeout(5);
  child.kill('SIGTERM');
  assert.deepEqual(await ended, [143, null]);
  assert.match(await stderr, /ended by SIGTERM, nothing was written/);
  assert.deepEqual(readdirSync(directory), ['jail']);
});

test('memory use does not grow with the size of the export', needs('truncate'), () => {
  const directory = tempDir();
  const root = path.join(directory, 'jail');
  mkdirSync(root);
  assert.equal(exec('truncate', ['-s', '1G', `${root}/large`]).status, 0);
  const measure = path.join(directory, 'measure.cjs');
  writeFileSync(
    measure,
    "process.on('exit', () => console.log(process.resourceUsage().maxRSS / 1024));",
  );
  const cli = ['--require', measure, JAILBUILD, 'export', root, '-q'];
  const fast = ['--compression', 'gzip', '--compression-level', '1'];
  const { status, stdout } = exec(process.execPath, [
    ...cli,
    ...['--to', `tar:${directory}/large.tar.gz`, ...fast],
  ]);
  assert.equal(status, 0);
  const peak = Number(stdout);
  assert.ok(peak > 10 && peak < 256, `${peak} MiB`);
});

test('usage errors name the mistake', () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['ls'], /--to is missing/],
    [['ls', '--to', 'zip:x'], /give oci:DIR/],
    [['ls', '--to', 'tar:'], /the path is missing/],
    [['ls', '--to', 'oci:x:bad tag'], /bad tag is not a tag/],
    [['ls', '--to', 'oci:-'], /cannot be standard output/],
    [['ls', '--to', 'docker-archive:x:UPPER'], /UPPER is not a reference/],
    [['ls', '--to', 'tar:x', '--user', 'me'], /--user applies to images/],
    [['ls', '--to', 'tar:-', '--json'], /--json prints where/],
    [['ls', '--to', 'oci:x', '--env', 'NOVALUE'], /give NAME=VALUE/],
    [['ls', '--to', 'oci:x', '--expose', '99999'], /give PORT/],
    [['ls', '--to', 'oci:x', '--workdir', 'relative'], /give an absolute path/],
    [['ls', '--to', 'oci:x', '--entrypoint', '[1]'], /not a JSON array of words/],
    [['ls', '--to', 'oci:x', '--stop-signal', 'nine'], /give a name/],
    [['ls', '--to', 'oci:x', '--max-layers', '1'], /give 2 to 127/],
    [['ls', '--to', 'oci:x', '--platform', 'linux'], /give OS\/ARCH/],
    [['ls', '--to', 'tar:x', '--compression-level', '3'], /requires --compression/],
    [['ls', '--to', 'tar:x', '--compression', 'gzip', '--compression-level', '12'], /are 1 to 9/],
    [['/etc', '--to', 'tar:x', '--terminfo', 'none'], /--terminfo applies to programs/],
    [['ls', '--from', 'x.json', '--to', 'tar:x'], /not both/],
  ];
  for (const [args, message] of cases) fails('USAGE', message, ['export', ...args]);
});
