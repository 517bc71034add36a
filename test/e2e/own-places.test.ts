import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { exec, JAILBUILD, jailbuild, startJailbuild } from '../support/cli.js';
import { needs, needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

/** Returns the environment with other variables; undefined removes one. */
function withEnv(changes: Readonly<Record<string, string | undefined>>): NodeJS.ProcessEnv {
  return { ...process.env, XDG_CACHE_HOME: undefined, ...changes };
}

/** Runs the command line with a variable whose value has a byte that is not UTF-8. */
function withByte(variable: string, start: string, args: readonly string[]) {
  const set = `export ${variable}="$(printf '%s\\377' "$1")"; mkdir -p "$${variable}"; shift; exec "$@"`;
  return exec('sh', ['-c', set, 'sh', start, process.execPath, JAILBUILD, ...args]);
}

describe("the user's directories", () => {
  for (const [name, HOME] of [
    ['empty', ''],
    ['relative', 'rel'],
  ]) {
    test(`a HOME that is ${name} does not put a cache below the working directory`, () => {
      const directory = tempDir();
      const { status, stderr } = jailbuild(['tree', 'ls'], {
        cwd: directory,
        env: withEnv({ HOME }),
      });
      assert.deepEqual([status, stderr], [0, '']);
      assert.deepEqual(readdirSync(directory), []);
    });
  }

  test(
    'a user without HOME and without an entry in passwd builds a jail',
    needsRoot('setpriv'),
    () => {
      const directory = tempDir();
      chownSync(directory, 54_321, 54_321);
      // The clone may lie where only root has access.
      const dist = path.join(tempDir(), 'dist');
      cpSync(path.dirname(JAILBUILD), dist, { recursive: true });
      const { status, stderr } = exec(
        'setpriv',
        [
          ...['--reuid=54321', '--regid=54321', '--clear-groups', process.execPath],
          ...[path.join(dist, path.basename(JAILBUILD)), `${directory}/jail`, 'ls', '--quiet'],
        ],
        { cwd: '/', env: withEnv({ HOME: undefined }) },
      );
      assert.equal(status, 0, stderr);
      assert.match(stderr, /^jailbuild: warning: not built as root: [^\n]*\n$/);
    },
  );

  test('a home that a symbolic link leads to has a cache', () => {
    const directory = tempDir();
    mkdirSync(`${directory}/home`);
    symlinkSync('home', `${directory}/link`);
    const env = withEnv({ HOME: `${directory}/link` });
    assert.equal(jailbuild(['tree', 'ls'], { env }).status, 0);
    assert.equal(readdirSync(`${directory}/home/.cache/jailbuild/facts`).length, 1);
  });

  test('a link that another user could change leads to no cache', needsRoot('chown'), () => {
    const directory = tempDir();
    mkdirSync(`${directory}/home`);
    symlinkSync('home', `${directory}/link`);
    assert.equal(exec('chown', ['-h', '1234', `${directory}/link`]).status, 0);
    const env = withEnv({ HOME: `${directory}/link` });
    assert.equal(jailbuild(['tree', 'ls'], { env }).status, 0);
    assert.deepEqual(readdirSync(`${directory}/home`), []);
  });
});

describe('a directory for temporary files', () => {
  for (const [kind, ...tools] of [
    ['squashfs', 'tar2sqfs'],
    ['erofs', 'mkfs.erofs'],
    ['ext4', '/usr/sbin/mke2fs', '/usr/sbin/debugfs'],
  ] as const) {
    test(`${kind}: its name need not be UTF-8`, needs(...tools), () => {
      const directory = tempDir();
      const to = `${kind}:${directory}/image`;
      const { status, stderr } = withByte('TMPDIR', `${directory}/t`, [
        ...['export', 'ls', '--quiet', '--to', to],
      ]);
      assert.equal(status, 0, stderr);
      assert.ok(statSync(`${directory}/image`).size > 1 << 20);
      const [temporary] = readdirSync(Buffer.from(directory), 'buffer').filter(
        (name) => name[0] === 't'.charCodeAt(0),
      );
      assert.ok(temporary !== undefined);
      const left = readdirSync(Buffer.concat([Buffer.from(`${directory}/`), temporary]));
      assert.deepEqual(left, []);
    });
  }

  test('that is missing is named', needs('tar2sqfs'), () => {
    const directory = tempDir();
    const { status, stderr } = jailbuild(
      ['export', 'ls', '--quiet', '--to', `squashfs:${directory}/image`],
      { env: { ...process.env, TMPDIR: `${directory}/missing` } },
    );
    assert.deepEqual(
      [status, stderr],
      [1, `jailbuild: ${directory}/missing: no such file or directory\n`],
    );
  });
});

describe('the cache of images', () => {
  const directory = tempDir();
  const archive = `${directory}/image.tar`;
  const from = (jail: string) => [jail, 'ls', '--quiet', '--sysroot', `docker-archive:${archive}`];
  const make = () => {
    if (existsSync(archive)) return;
    const made = jailbuild(['export', 'ls', '--quiet', '--to', `docker-archive:${archive}`]);
    assert.equal(made.status, 0, made.stderr);
  };

  test('has a name that need not be UTF-8', () => {
    make();
    const { status, stderr } = withByte('XDG_CACHE_HOME', `${directory}/c`, from(`${directory}/a`));
    assert.equal(status, 0, stderr);
  });

  test('is repaired if files of it are damaged or missing', () => {
    make();
    const cache = path.join(tempDir(), 'cache');
    const env = withEnv({ XDG_CACHE_HOME: cache });
    const build = () => {
      const jail = path.join(tempDir(), 'jail');
      const { status, stderr } = jailbuild(from(jail), { env });
      assert.equal(status, 0, stderr);
      assert.equal(statSync(`${jail}/usr/bin/ls`).mode & 0o7777, 0o755);
      const images = `${cache}/jailbuild/images`;
      const names = readdirSync(images);
      assert.equal(names.length, 1);
      // Otherwise the next build uses the result of this one.
      rmSync(`${cache}/jailbuild/resolutions`, { recursive: true });
      return `${images}/${names[0]}`;
    };
    const place = build();
    const whole = readFileSync(`${place}/attributes.json`, 'utf8');
    const damages = [
      () => truncateSync(`${place}/attributes.json`),
      () => truncateSync(`${place}/attributes.json`, Math.floor(whole.length / 2)),
      () => writeFileSync(`${place}/attributes.json`, 'null'),
      () => writeFileSync(`${place}/attributes.json`, whole.replace('"mode":493', '"mode":492')),
      () => rmSync(`${place}/root`, { recursive: true }),
    ];
    for (const damage of damages) {
      damage();
      assert.equal(build(), place);
      assert.equal(readFileSync(`${place}/attributes.json`, 'utf8'), whole);
    }
  });

  test('is filled by several builds at once', async () => {
    make();
    const own = tempDir();
    const env = withEnv({ XDG_CACHE_HOME: `${own}/cache` });
    const running = Array.from({ length: 6 }, (_, index) =>
      startJailbuild(from(`${own}/jail${index}`), { env }),
    );
    for (const { finished } of running) {
      const { status, stderr } = await finished;
      assert.equal(status, 0, stderr);
    }
    assert.equal(readdirSync(`${own}/cache/jailbuild/images`).length, 1);
  });

  test(
    'is not one that others could change: root uses /var/cache, others are refused',
    needsRoot('setpriv', 'unshare', 'mount'),
    () => {
      make();
      const own = tempDir();
      mkdirSync(`${own}/cache`);
      chownSync(`${own}/cache`, 1234, 1234);
      const env = withEnv({ XDG_CACHE_HOME: `${own}/cache` });
      const build = [process.execPath, JAILBUILD, ...from(`${own}/jail`)];
      const asRoot = exec(
        'unshare',
        [
          ...['--mount', '--propagation', 'private', 'sh', '-c'],
          'mount -t tmpfs tmpfs /var/cache && "$@" && ls /var/cache/jailbuild/images',
          ...['sh', ...build],
        ],
        { env },
      );
      assert.equal(asRoot.status, 0, asRoot.stderr);
      assert.match(asRoot.stdout, /^sha256-[0-9a-f]{64}\n$/);
      assert.deepEqual(readdirSync(`${own}/cache`), []);

      rmSync(`${own}/jail`, { recursive: true });
      chmodSync(own, 0o1777);
      const dist = path.join(tempDir(), 'dist');
      cpSync(path.dirname(JAILBUILD), dist, { recursive: true });
      const asUser = exec(
        'setpriv',
        [
          ...['--reuid=54321', '--regid=54321', '--clear-groups', process.execPath],
          ...[path.join(dist, path.basename(JAILBUILD)), ...from(`${own}/jail`)],
        ],
        { cwd: '/', env },
      );
      assert.equal(asUser.status, 1);
      assert.equal(
        asUser.stderr,
        `jailbuild: ${own}/cache/jailbuild/images: ${own}/cache belongs to uid 1234, who could change unpacked images: set XDG_CACHE_HOME to a directory of your own\n`,
      );
    },
  );
});
