import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import type { ErrorCode } from '../../src/errors.js';
import type { Manifest } from '../../src/manifest/manifest.js';
import { exec, type Finished, jailbuild } from '../support/cli.js';
import { fails } from '../support/fails.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const PATH = '/usr/sbin:/usr/bin:/sbin:/bin';

const directory = tempDir();
function build(name: string, ...args: string[]): string {
  const jail = path.join(directory, name);
  const { status, stderr } = jailbuild([jail, ...args]);
  assert.doesNotMatch(stderr, /^(?!jailbuild: advice: )./m);
  assert.equal(status, 0);
  return jail;
}

function inside(jail: string, env: NodeJS.ProcessEnv, ...command: string[]): Finished {
  return exec('chroot', [jail, ...command], { env: { PATH, ...env } });
}

function refused(code: ErrorCode, words: RegExp, ...args: string[]): void {
  fails(code, words, [path.join(directory, 'refused'), ...args]);
  assert.ok(!readdirSync(directory).includes('refused'));
}

describe('--gconv', needsRoot('iconv', 'chroot'), () => {
  const latin = Buffer.from('gr\xfc\xdfe', 'latin1');

  test('adds the modules of named character sets, by any of their names, and no others', () => {
    const jail = build('gconv', 'iconv', 'bash', '--gconv', 'latin1,EUC-JP');
    writeFileSync(path.join(jail, 'text'), latin);
    const convert = (set: string) => inside(jail, {}, 'iconv', '-f', set, '-t', 'UTF-8', '/text');
    assert.equal(convert('ISO-8859-1').stdout, 'grüße');
    assert.equal(convert('LATIN1').stdout, 'grüße');
    assert.match(convert('KOI8-R').stderr, /^iconv: /);
    writeFileSync(path.join(jail, 'text'), Buffer.from([0xa4, 0xa2]));
    assert.equal(convert('EUC-JP').stdout, 'あ');
    // The same program fails without modules, so that the test can fail.
    const bare = build('gconv-none', 'iconv');
    writeFileSync(path.join(bare, 'text'), latin);
    assert.notEqual(inside(bare, {}, 'iconv', '-f', 'LATIN1', '-t', 'UTF-8', '/text').status, 0);
  });

  test('adds what modules need in turn, and everything with all', () => {
    const jail = build('gconv-chain', 'iconv', '--gconv', 'ISO-2022-JP-3');
    writeFileSync(path.join(jail, 'text'), 'あ');
    const { stdout, stderr } = inside(
      jail,
      {},
      'iconv',
      '-f',
      'UTF-8',
      '-t',
      'ISO-2022-JP-3',
      '/text',
    );
    assert.equal(stderr, '');
    assert.equal(stdout, '\x1b$B$"\x1b(B');
    const all = build('gconv-all', 'iconv', '--gconv', 'all');
    const modules = (root: string) =>
      exec('find', [path.join(root, 'usr/lib'), '-path', '*/gconv/*.so']).stdout.split('\n').length;
    assert.equal(modules(all), modules('/'));
  });

  test('knows the character sets built into glibc, and refuses unknown ones', () => {
    build('gconv-inside', 'iconv', '--gconv', 'utf-8,ASCII,UCS-4');
    refused(
      'CHARSET_NOT_FOUND',
      /KLINGON: no such character set in \/.*gconv/,
      'iconv',
      '--gconv',
      'KLINGON',
    );
  });
});

describe(
  '--locale',
  needsRoot('localedef', '/usr/share/i18n/charmaps', 'locale', 'date', 'chroot'),
  () => {
    let archive: string;
    let directories: string;

    before(() => {
      const make = (name: string, ...options: string[]): string => {
        const root = build(name, 'date', 'locale', '--terminfo', 'none');
        mkdirSync(path.join(root, 'usr/lib/locale'), { recursive: true });
        const made = exec('localedef', [
          ...[`--prefix=${root}`, ...options, '-i', 'de_DE', '-f', 'UTF-8', 'de_DE.UTF-8'],
        ]);
        assert.equal(made.status, 0, made.stderr);
        return root;
      };
      archive = make('archive-root');
      directories = make('directories-root', '--no-archive');
    });

    const day = (jail: string, locale: string) =>
      inside(jail, { LC_ALL: locale }, 'date', '-u', '-d', '2026-11-25', '+%A').stdout.trim();

    test('adds a directory, by either spelling of the character set', () => {
      for (const name of ['de_DE.UTF-8', 'de_DE.utf8']) {
        const jail = build(`dir-${name}`, 'date', '--sysroot', directories, '--locale', name);
        assert.equal(day(jail, 'de_DE.UTF-8'), 'Mittwoch');
      }
    });

    test('adds the archive', () => {
      const jail = build('archive', 'date', '--sysroot', archive, '--locale', 'de_DE.UTF-8');
      assert.equal(day(jail, 'de_DE.UTF-8'), 'Mittwoch');
      assert.equal(day(jail, 'C'), 'Wednesday');
    });

    test('needs data for C.UTF-8 but not for C and POSIX, and refuses what was not generated', () => {
      const plain = build('c-only', 'locale', '--sysroot', directories, '--locale', 'C,POSIX');
      assert.ok(!existsSync(path.join(plain, 'usr/lib/locale')));
      refused(
        'LOCALE_NOT_FOUND',
        /C\.UTF-8: no such locale/,
        ...['locale', '--sysroot', directories, '--locale', 'C.UTF-8'],
      );
      const jail = build('c-locales', 'locale', '--locale', 'C,POSIX,C.UTF-8');
      assert.equal(inside(jail, { LC_ALL: 'C.UTF-8' }, 'locale', 'charmap').stdout, 'UTF-8\n');
      refused(
        'LOCALE_NOT_FOUND',
        /xx_XX\.UTF-8: no such locale in \/usr\/lib\/locale: make it with localedef/,
        'locale',
        '--locale',
        'xx_XX.UTF-8',
      );
    });
  },
);

describe('--tz', needsRoot('date', 'chroot'), () => {
  const clock = (jail: string, tz?: string) =>
    inside(
      jail,
      tz === undefined ? {} : { TZ: tz },
      'date',
      '-d',
      '@1764072000',
      '+%H %Z',
    ).stdout.trim();

  test('adds named zones, and no others', () => {
    const jail = build('tz', 'date', '--tz', 'Europe/Berlin,Asia/Tokyo');
    assert.equal(clock(jail, 'Europe/Berlin'), '13 CET');
    assert.equal(clock(jail, 'Asia/Tokyo'), '21 JST');
    assert.equal(clock(jail, 'America/New_York'), '12 America');
    assert.equal(clock(jail), '12 UTC');
  });

  test('host stands for the zone of /etc/localtime', () => {
    const root = build('tz-root', 'date', '--tz', 'Europe/Berlin');
    symlinkSync('/usr/share/zoneinfo/Europe/Berlin', path.join(root, 'etc/localtime'));
    const jail = build('tz-host', 'date', '--sysroot', root, '--tz', 'host');
    assert.equal(clock(jail), '13 CET');
  });

  test('all adds all zones, and an unknown name is refused', () => {
    const jail = build('tz-all', 'date', '--tz', 'all');
    assert.equal(clock(jail, 'America/New_York'), '07 EST');
    assert.equal(clock(jail, 'Pacific/Auckland'), '01 NZDT');
    refused(
      'TIME_ZONE_NOT_FOUND',
      /Mars\/Phobos: no such time zone in \/usr\/share\/zoneinfo/,
      'date',
      '--tz',
      'Mars/Phobos',
    );
    refused(
      'TIME_ZONE_NOT_FOUND',
      /\.\.\/\.\.\/\.\.\/etc\/passwd: no such time zone/,
      'date',
      '--tz',
      '../../../etc/passwd',
    );
  });
});

describe('--ca-certificates', needsRoot('openssl', 'chroot', 'update-ca-certificates'), () => {
  test('lets OpenSSL verify an authority, by file and by directory', () => {
    const jail = build('ca', 'openssl', '--ca-certificates');
    const authority = readdirSync('/usr/share/ca-certificates/mozilla').find((name) =>
      /ISRG|DigiCert/.test(name),
    );
    const certificate = `/usr/share/ca-certificates/mozilla/${authority}`;
    const verify = (root: string, ...options: string[]) =>
      inside(root, {}, 'openssl', 'verify', ...options, certificate);
    for (const options of [[], ['-no-CAfile', '-no-CAstore'], ['-no-CApath', '-no-CAstore']]) {
      assert.equal(verify(jail, ...options).stdout, `${certificate}: OK\n`, options.join());
    }
    const bare = build('ca-none', 'openssl');
    exec('cp', ['--parents', certificate, bare]);
    assert.match(verify(bare).stderr, /verification failed/);
  });

  test('adds the configuration of OpenSSL with the providers that it activates', () => {
    const root = build('provider-root', 'openssl', '--ca-certificates');
    const modules = exec('openssl', ['version', '-m']).stdout.match(/"(.*)"/)?.[1] ?? '';
    exec('cp', ['-a', '--parents', `${modules}/legacy.so`, root]);
    const conf = [
      ...[
        'openssl_conf = init',
        '[init]',
        'providers = list',
        '[list]',
        'default = on',
        'legacy = on',
      ],
      ...['[on]', 'activate = 1', ''],
    ];
    writeFileSync(path.join(root, 'etc/ssl/openssl.cnf'), conf.join('\n'));
    const jail = build('provider', 'openssl', '--sysroot', root, '--ca-certificates');
    const providers = inside(jail, {}, 'openssl', 'list', '-providers').stdout;
    assert.match(providers, /legacy\n/);
    assert.doesNotMatch(
      inside(
        build('provider-none', 'openssl', '--ca-certificates'),
        {},
        'openssl',
        'list',
        '-providers',
      ).stdout,
      /legacy\n/,
    );
  });
});

test('these options are in the manifest, with a reason for each file', () => {
  const { stdout, status } = jailbuild([
    ...['/nonexistent/jail', 'ls', 'iconv', '--dry-run', '--json', '--tz', 'Europe/Berlin'],
    ...['--gconv', 'LATIN1', '--nss', 'none', '--dlopen', 'none'],
  ]);
  assert.equal(status, 0);
  const { request, entries }: Manifest = JSON.parse(stdout);
  assert.deepEqual(request.timeZones, ['Europe/Berlin']);
  assert.deepEqual([request.gconv, request.nss, request.dlopen], [['LATIN1'], 'none', 'none']);
  const kinds = new Set(entries.flatMap(({ reasons }) => reasons.map(({ kind }) => kind)));
  assert.ok(kinds.has('time-zone') && kinds.has('gconv'));
  assert.ok(!kinds.has('nsswitch') && !kinds.has('nss-module') && !kinds.has('dlopen'));
});

describe(
  '/etc/hosts with --with-package',
  needsRoot('getent', 'chroot', 'zip', '/var/lib/dpkg/info'),
  () => {
    const hostsOf = (jail: string) => path.join(jail, 'etc/hosts');

    test('has localhost for programs that look up hosts', () => {
      const jail = build('hosts', 'getent', '--with-package');
      assert.match(inside(jail, {}, 'getent', 'hosts', 'localhost').stdout, /^::1 +localhost/);
      const without = build('hosts-default', 'getent');
      assert.equal(inside(without, {}, 'getent', 'hosts', 'localhost').status, 2);
    });

    test('is not made for others, nor without the name service or over a file of the user', () => {
      for (const words of [
        ['zip', '--with-package'],
        ['getent', '--with-package', '--nss', 'none'],
        ['getent', '--with-package', '--exclude', '/etc/hosts'],
      ]) {
        assert.ok(
          !existsSync(hostsOf(build(`hosts-${words.join('')}`.replaceAll('/', ''), ...words))),
        );
      }
      const own = path.join(directory, 'own-hosts');
      writeFileSync(own, '192.0.2.1 own\n');
      const jail = build('hosts-own', 'getent', '--with-package', '--include', `${own}:/etc/hosts`);
      assert.equal(readFileSync(hostsOf(jail), 'utf8'), '192.0.2.1 own\n');
    });
  },
);
