import assert from 'node:assert/strict';
import { readFileSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { jailbuild, succeed } from '../support/cli.js';
import { DebianRoot } from '../support/debian-root.js';
import { needs } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

/** Compiles a static program with a string in its data, which does nothing. */
function staticProgram(word: string): Buffer {
  const output = path.join(tempDir(), 'compiled');
  const source = `const char word[] = "${word}"; void _start(void) {}`;
  const options = ['-static', '-nostdlib', '-fno-builtin', '-o', output];
  succeed('gcc', ['-x', 'c', '-', ...options], { input: source });
  return readFileSync(output);
}

/** Compiles a program with a string in its data, which prints it. */
function dynamicProgram(word: string): Buffer {
  const output = path.join(tempDir(), 'compiled');
  const input = `#include <stdio.h>\nint main(void) { return puts("${word}"); }`;
  succeed('gcc', ['-x', 'c', '-', '-o', output], { input });
  return readFileSync(output);
}

describe('what a package has beyond the files that it lists', needs('gcc'), () => {
  const root = new DebianRoot();

  const plan = (program: string, ...options: string[]) => {
    const args = ['--sysroot', root.path, '--terminfo', 'none', '--dry-run', '--json', ...options];
    const { status, stdout, stderr } = jailbuild([path.join(tempDir(), 'j'), program, ...args]);
    assert.equal(status, 0, stderr);
    return JSON.parse(stdout) as {
      readonly entries: readonly { readonly path: string }[];
      readonly advice: readonly { readonly text: string }[];
    };
  };
  const adviceOn = (program: string) => plan(program).advice?.map(({ text }) => text) ?? [];
  const brought = (program: string) =>
    new Set(plan(program, '--with-package').entries.map((entry) => entry.path));

  before(() => {
    const scripting = staticProgram('');
    const loader = '/lib64/ld-linux-x86-64.so.2';
    const libc = succeed('gcc', ['-print-file-name=libc.so.6']).trim();
    root.put(loader, readFileSync(realpathSync(loader)), 0o755);
    root.put('/usr/lib/libc.so.6', readFileSync(realpathSync(libc)), 0o755);
    root.install('language', { '/usr/bin/lang5': scripting }, 'Section: interpreters\n');
  });

  test('state that programs of a data package make is added, that of services is not', () => {
    const data = {
      '/usr/sbin/update-forms': '#!/bin/sh\n',
      '/usr/bin/dh_forms': '#!/bin/sh\n',
      '/usr/share/forms/list': '',
      '/var/lib/forms/main/.keep': '',
      '/var/cache/forms/.keep': '',
    };
    root.install('forms-common', data, 'Architecture: all\n');
    const own = { '/usr/bin/forms': staticProgram(''), '/var/lib/formsd/.keep': '' };
    root.install('forms', own, 'Depends: forms-common\n');
    for (const at of ['lib/forms/main/made', 'lib/forms/index', 'cache/forms/made']) {
      root.put(`/var/${at}`, 'made');
    }
    root.put('/var/lib/forms/signing_key', 'secret');
    root.put('/var/lib/forms/private', 'secret', 0o600);
    root.put('/var/lib/formsd/database', 'of the host');
    const entries = brought('forms');
    for (const at of ['lib/forms/main/made', 'lib/forms/index', 'cache/forms/made']) {
      assert.ok(entries.has(`/var/${at}`), at);
    }
    for (const at of ['forms/signing_key', 'forms/private', 'formsd/database']) {
      assert.ok(!entries.has(`/var/lib/${at}`), at);
    }
  });

  test('directories that a package declares for the start of a system are added without what is in them', () => {
    const lines = [
      '# d /run/terms-comment 0755 root root',
      'd /run/terms 0777 root utmp',
      'D! /run/terms/sockets 0700',
      'f /run/terms-file 0644',
      'd /etc/terms 0755',
      'd /run/terms-%u 0755',
      'd /run/terms-absent 0755',
    ];
    root.install('terms', {
      '/usr/bin/terms': staticProgram(''),
      '/usr/lib/tmpfiles.d/terms-clean.conf': `${lines.join('\n')}\n`,
    });
    root.put('/run/terms/sockets/one', 'of the host');
    root.put('/run/terms-comment/one', '');
    root.put('/run/terms-file', '');
    root.put('/etc/terms/one', '');
    const entries = brought('terms');
    const declared = [...entries].filter((at) => /^\/(run\/|etc\/terms)/.test(at));
    assert.deepEqual(declared.sort(), ['/run/terms', '/run/terms/sockets']);
  });

  test('the directory of the file with the process ID that a program makes is added', () => {
    root.put('/run/other.pid', '1');
    root.install('serves', { '/usr/bin/serves': dynamicProgram('/run/serves.pid') });
    root.install('shows', { '/usr/bin/shows': dynamicProgram('/run/shows') });
    const entries = [...brought('serves')].filter((at) => at.startsWith('/run'));
    assert.deepEqual(entries, ['/run']);
    assert.ok(!brought('shows').has('/run'));
  });

  test('what an installation made of a package is advised and added if a program names its beginning', () => {
    const install = (name: string, at: string) => {
      const word = `${at}/dict`;
      const program = dynamicProgram(word);
      root.install(name, { [`/usr/bin/${name}`]: program, [`${at}/.keep`]: '' });
      for (const end of ['.pwd', '.pwi', 's', '']) root.put(`${at}/dict${end || '_'}`, 'made');
      root.put(`${at}/dict.key`, 'private', 0o600);
    };
    install('crack', '/var/cache/crack');
    assert.deepEqual(adviceOn('crack'), [
      'crack names /var/cache/crack/dict.pwd, which an installation made',
    ]);
    const entries = brought('crack');
    const added = [...entries].filter((at) => at.startsWith('/var/cache/crack/dict'));
    assert.deepEqual(added.sort(), ['/var/cache/crack/dict.pwd', '/var/cache/crack/dict.pwi']);
    // State of the host is not made from a package's data.
    install('daemons', '/var/lib/daemons');
    assert.deepEqual(adviceOn('daemons'), []);
    assert.ok(!brought('daemons').has('/var/lib/daemons/dict.pwd'));
  });

  test('configuration that an installation made and chose among alternatives is added', () => {
    root.install('paint', { '/usr/bin/paint': staticProgram('') });
    root.put('/var/lib/dpkg/info/paint.postinst', 'CONF="/etc/paint-3.cfg"\nO=/etc/other-3.cfg\n');
    root.put('/etc/paint-3.cfg', 'made');
    root.put('/etc/other-3.cfg', 'made');
    root.link('/etc/paint.cfg', '/etc/alternatives/paint.cfg');
    root.link('/etc/alternatives/paint.cfg', '/etc/paint-3.cfg');
    root.put('/var/lib/dpkg/alternatives/paint.cfg', 'auto\n/etc/paint.cfg\n\n/etc/paint-3.cfg\n');
    const entries = brought('paint');
    for (const at of ['paint.cfg', 'alternatives/paint.cfg', 'paint-3.cfg']) {
      assert.ok(entries.has(`/etc/${at}`), at);
    }
    assert.ok(!entries.has('/etc/other-3.cfg'));
  });

  test('modules that libraries are through links come with a script', () => {
    const library = '/usr/lib/x86_64-linux-gnu/liblang5-xml.so.0';
    root.link('/usr/lib/x86_64-linux-gnu/lang/xml.so', '../liblang5-xml.so.0');
    root.install('lang-xml', { [library]: '' });
    const list = '/var/lib/dpkg/info/lang-xml.list';
    const listed = readFileSync(root.path + list, 'utf8');
    root.put(list, `${listed}/usr/lib/x86_64-linux-gnu/lang/xml.so\n`);
    root.install('libxml', { '/usr/lib/x86_64-linux-gnu/libxml.so.1': '' });
    const files = { '/usr/bin/chat': '#!/usr/bin/lang5\n' };
    root.install('chat', files, 'Depends: language, lang-xml, libxml\n');
    const entries = brought('chat');
    assert.ok(entries.has('/usr/lib/x86_64-linux-gnu/lang/xml.so') && entries.has(library));
    assert.ok(!entries.has('/usr/lib/x86_64-linux-gnu/libxml.so.1'));
  });

  test('what the stages of a static driver start comes with it', () => {
    root.install('linker', { '/usr/bin/lk': staticProgram(''), '/usr/bin/lk-dump': '#!/bin/sh\n' });
    const stage = '/usr/lib/pas/3.2/stage';
    root.install(
      'pas',
      { '/usr/bin/pas': staticProgram('stage'), [stage]: staticProgram('lk') },
      'Depends: linker\n',
    );
    assert.ok(!brought('pas').has('/usr/bin/lk'));
    succeed('chmod', ['755', root.path + stage]);
    const entries = brought('pas');
    assert.ok(entries.has('/usr/bin/lk') && !entries.has('/usr/bin/lk-dump'));
  });

  test('a directory with the name of a script or static program is advised', () => {
    const part = { '/usr/lib/room3/start.lg': '' };
    root.install('room', { '/usr/bin/room': '#!/usr/bin/lang5\nrequire "start"\n', ...part });
    const parts = { '/usr/lib/x86_64-linux-gnu/pack/units/u': '', '/usr/lib/packs/u': '' };
    root.install('pack', { '/usr/bin/pack-3.2': staticProgram(''), ...parts });
    const others = { '/usr/lib/rooms/start.lg': '', '/usr/share/locale/hall/x': '' };
    root.install('hall', { '/usr/bin/hall': staticProgram(''), ...others });
    assert.deepEqual(adviceOn('room'), ['room may need /usr/lib/room3, from room']);
    assert.deepEqual(adviceOn('pack-3.2'), [
      'pack-3.2 may need /usr/lib/x86_64-linux-gnu/pack, from pack',
    ]);
    assert.deepEqual(adviceOn('hall'), []);
  });

  test('a script in another language than the shell lacks what it names of its package', () => {
    root.install('zones', { '/usr/share/zones/utc': '' });
    const text = '#!/usr/bin/lang5\nZ = "/usr/share/zones"\nSOURCE = "/usr/lib/parts5"\n';
    const files = { '/usr/bin/talk': text, '/usr/lib/parts5/start.lg': '' };
    root.install('talk', files, 'Depends: zones\n');
    assert.deepEqual(adviceOn('talk'), ['talk names /usr/lib/parts5, from talk']);
  });
});
