import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { RECORD_SCHEMA, recordText } from '../../src/jail/record/record.js';
import { RECORD_NAME, STATE_DIRECTORY } from '../../src/jail/record/state.js';
import { parseManifest } from '../../src/manifest/read.js';
import type { ChainLink } from '../../src/manifest/reason-chains.js';
import type { DependencyNode } from '../../src/resolve/dependency-tree.js';
import { exec, jailbuild } from '../support/cli.js';
import { fails } from '../support/fails.js';
import { needs, needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

interface Tree {
  readonly status: string;
  readonly programs: readonly DependencyNode[];
}

function all(nodes: readonly DependencyNode[]): DependencyNode[] {
  return nodes.flatMap((node) => [node, ...all(node.needs)]);
}

test('a chain of libraries deeper than any real one is cut off', needs('cc'), () => {
  const directory = tempDir();
  const name = (index: number) => `libx${String(index).padStart(5, '0')}.so`;
  const cc = (...args: string[]) => assert.equal(exec('cc', args, { cwd: directory }).status, 0);
  writeFileSync(path.join(directory, 'x.c'), 'int x;');
  writeFileSync(path.join(directory, 'main.c'), 'int main(void) { return 0; }');
  const shared = ['-shared', '-nostdlib', '-x', 'c', 'x.c', '-x', 'none'];
  cc(...shared, '-o', name(99_998), `-Wl,-soname,${name(99_998)}`);
  const link = ['-L.', '-Wl,--no-as-needed', `-l:${name(99_998)}`];
  cc(...shared, '-o', name(99_999), `-Wl,-soname,${name(99_999)}`, ...link);
  const one = readFileSync(path.join(directory, name(99_999)), 'latin1');
  const depth = 3000;
  for (let index = 0; index < depth; index += 1) {
    const next = index + 1 < depth ? name(index + 1) : 'libc.so.6\0\0\0';
    const text = one.replaceAll(name(99_999), name(index)).replaceAll(name(99_998), next);
    writeFileSync(path.join(directory, name(index)), text, 'latin1');
  }
  const flags = ['-Wl,--no-as-needed', '-Wl,--unresolved-symbols=ignore-all'];
  cc('main.c', '-o', 'main', '-L.', ...flags, `-l:${name(0)}`);
  const words = ['tree', './main', '--library-path', directory];
  const text = jailbuild(words, { cwd: directory });
  assert.equal(text.status, 0, text.stderr);
  assert.match(text.stdout, /libx00499\.so.* \.\.\.\n/);
  assert.doesNotMatch(text.stdout, /libx00500\.so/);
  const { programs } = JSON.parse(
    jailbuild([...words, '--json'], { cwd: directory }).stdout,
  ) as Tree;
  assert.equal(all(programs).filter(({ folded }) => folded).length, 1);
});

describe('tree', needs('cc', 'ldd'), () => {
  const directory = tempDir();
  const cc = (...args: string[]) => {
    const { status, stderr } = exec('cc', args, { cwd: directory });
    assert.equal(status, 0, stderr);
  };

  before(() => {
    const source = (name: string, text: string) => writeFileSync(path.join(directory, name), text);
    mkdirSync(path.join(directory, 'lib'));
    mkdirSync(path.join(directory, 'gone'));
    source('base.c', 'int base(void) { return 1; }');
    source('left.c', 'int base(void); int left(void) { return base(); }');
    source('right.c', 'int base(void); int right(void) { return base(); }');
    source('gone.c', 'int gone(void) { return 0; }');
    source('whole.c', 'int left(void), right(void); int main(void) { return left() + right(); }');
    source('broken.c', 'int gone(void), left(void); int main(void) { return gone() + left(); }');
    const library = (name: string, ...more: string[]) =>
      cc('-shared', '-fPIC', '-o', `lib/lib${name}.so`, `${name}.c`, '-Llib', ...more);
    library('base');
    library('left', '-lbase', '-Wl,--enable-new-dtags,-rpath,$ORIGIN');
    library('right', '-lbase', '-Wl,--disable-new-dtags,-rpath,$ORIGIN');
    cc('-shared', '-fPIC', '-o', 'gone/libgone.so', 'gone.c');
    const program = (name: string, ...more: string[]) =>
      cc(
        '-o',
        name,
        `${name}.c`,
        '-Llib',
        ...more,
        '-Wl,--allow-shlib-undefined',
        '-Wl,-rpath-link,lib',
      );
    program('whole', '-lleft', '-lright', '-Wl,--enable-new-dtags,-rpath,$ORIGIN/lib');
    program('broken', '-Lgone', '-lgone', '-lleft', '-Wl,--enable-new-dtags,-rpath,$ORIGIN/lib');
  });

  test('shows the rule of each edge, and folds shared libraries', () => {
    const { stdout, stderr, status } = jailbuild(['tree', path.join(directory, 'whole')]);
    assert.equal(stderr, '');
    assert.equal(status, 0);
    const lib = path.join(directory, 'lib');
    assert.match(
      stdout,
      new RegExp(`^├── libleft\\.so => ${lib}/libleft\\.so \\[runpath\\]$`, 'm'),
    );
    assert.match(stdout, new RegExp(`libbase\\.so => ${lib}/libbase\\.so \\[runpath\\]$`, 'm'));
    assert.equal(stdout.match(/libbase\.so => /g)?.length, 2);
    assert.match(stdout, /libc\.so\.6 => \/.* \[ld\.so\.cache\]( \.\.\.)?$/m);
    assert.ok(!stdout.includes('\u001b'));
  });

  test('shows interpreters, and the size of each file once', () => {
    const script = path.join(directory, 'script');
    writeFileSync(script, '#!/bin/sh\n', { mode: 0o755 });
    const asked = ['tree', path.join(directory, 'whole'), script, '--json', '--nss', 'none'];
    const { programs, total } = JSON.parse(jailbuild(asked).stdout);
    const nodes = all(programs);
    assert.ok(nodes.every(({ name }) => name !== ''));
    const [whole, started] = programs as readonly DependencyNode[];
    const readelf = exec('readelf', ['-l', path.join(directory, 'whole')]).stdout;
    const loader = /interpreter: (.*)\]/.exec(readelf)?.[1];
    assert.equal(whole?.needs.find(({ by }) => by === 'interpreter')?.name, loader);
    assert.equal(started?.needs.find(({ by }) => by === 'shebang')?.name, '/bin/sh');
    const bytes = (of: readonly DependencyNode[]) => {
      const files = [...new Set(of.flatMap(({ file }) => file ?? []))];
      return files.reduce((sum, file) => sum + statSync(file).size, 0);
    };
    assert.equal(whole?.size, statSync(path.join(directory, 'whole')).size);
    assert.equal(whole?.total, bytes(all([whole as DependencyNode])));
    assert.equal(total, bytes(nodes));
    const text = jailbuild(['tree', '--size', path.join(directory, 'whole')]).stdout.split('\n');
    assert.match(text[0] ?? '', /^ +SIZE +TOTAL$/);
    assert.match(text[1] ?? '', /^ +[\d.]+ KiB +[\d.]+ MiB {2}\/.*\/whole$/);
  });

  test('lists in JSON what the loader loads, at the same paths', () => {
    const program = path.join(directory, 'whole');
    const { stdout } = jailbuild(['tree', program, '--json', '--nss', 'none']);
    const { status, programs }: Tree = JSON.parse(stdout);
    assert.equal(status, 'ok');
    const ours = new Set(
      all(programs).flatMap(({ name, path: at }) =>
        name.startsWith('lib') ? [`${name} ${at}`] : [],
      ),
    );
    const loaders = [...exec('ldd', [program]).stdout.matchAll(/^\s*(lib\S+) => (\S+)/gm)];
    assert.deepEqual(
      [...ours].map((line) => line.split(' ')[0]).sort(),
      loaders.map(([, name]) => name).sort(),
    );
    const expanded = all(programs).filter(({ needs: list }) => list.length > 0);
    const files = expanded.map(({ file }) => file);
    assert.equal(new Set(files).size, files.length, 'no file is expanded twice');
  });

  test('lists the searched paths of a missing library, and returns 1', () => {
    const program = path.join(directory, 'broken');
    const { stdout, status } = jailbuild(['tree', program]);
    assert.equal(status, 1);
    assert.match(stdout, /libgone\.so: not found; searched$/m);
    assert.ok(stdout.includes(`${directory}/lib/libgone.so [runpath]`));
    assert.match(stdout, /\/libgone\.so \[default\]$/m);
    assert.match(stdout, /libleft\.so => /);
    const json: Tree = JSON.parse(jailbuild(['tree', program, '--json']).stdout);
    assert.equal(json.status, 'missing');
    assert.ok(all(json.programs).some(({ name, searched }) => name === 'libgone.so' && searched));
  });

  test(
    'shows a missing library in red on a terminal, unless NO_COLOR is set',
    needs('script'),
    () => {
      const onTerminal = (env: NodeJS.ProcessEnv) =>
        exec(
          'script',
          [
            '-qec',
            `'${process.execPath}' dist/jailbuild.cjs tree ${directory}/broken`,
            '/dev/null',
          ],
          {
            env: { PATH: process.env.PATH, TERM: 'xterm', ...env },
          },
        ).stdout;
      assert.ok(onTerminal({}).includes('\u001b[31mlibgone.so: not found'));
      assert.ok(!onTerminal({ NO_COLOR: '1' }).includes('\u001b['));
    },
  );

  test('includes scripts and their interpreters', () => {
    const script = path.join(directory, 'script');
    writeFileSync(script, '#!/usr/bin/env -S sh -e\n', { mode: 0o755 });
    const { stdout } = jailbuild(['tree', script]);
    assert.match(stdout, /\/env \[shebang\]$/m);
    assert.match(stdout, /^└── sh => \/.*sh \[env\]$/m);
  });

  test('refuses a missing program, and a missing argument', () => {
    assert.equal(jailbuild(['tree', 'no-such-program']).status, 1);
    assert.equal(jailbuild(['tree']).status, 2);
  });
});

describe('why', needsRoot('top', 'bash'), () => {
  const chainsOf = (...args: string[]): ChainLink[][] => {
    const { stdout, stderr, status } = jailbuild(['why', ...args, '--json', '--all']);
    assert.equal(stderr, '');
    assert.equal(status, 0);
    return JSON.parse(stdout).files[0].chains;
  };

  test('prints chains from the request to the file', () => {
    const chains = chainsOf('top', 'libsystemd.so.0');
    assert.ok(chains.length > 0);
    for (const chain of chains) {
      assert.equal(chain[0]?.reason.kind, 'requested');
      assert.match(chain.at(-1)?.path ?? '', /\/libsystemd\.so\.0$/);
      chain.forEach(({ reason }, index) => {
        if (index === 0) return;
        const source = 'by' in reason ? reason.by : 'of' in reason ? reason.of : '';
        assert.equal(source, chain[index - 1]?.path);
      });
    }
    const lengths = chains.map(({ length }) => length);
    assert.deepEqual(
      lengths,
      lengths.toSorted((a, b) => a - b),
    );
  });

  test('reads the record of a jail, and accepts paths through its links', () => {
    const jail = path.join(tempDir(), 'jail');
    assert.equal(jailbuild([jail, 'bash', 'top', '--quiet']).status, 0);
    const state = path.join(jail, STATE_DIRECTORY);
    if (!existsSync(path.join(state, RECORD_NAME))) {
      const planned = jailbuild(['/nonexistent/jail', 'bash', 'top', '--dry-run', '--json']);
      mkdirSync(state);
      writeFileSync(
        path.join(state, RECORD_NAME),
        Buffer.concat([
          ...recordText({
            ...{ schema: RECORD_SCHEMA, version: '0', request: { programs: ['bash', 'top'] } },
            ...{ options: {}, found: [], kept: [], former: [] },
            manifest: parseManifest(planned.stdout, 'manifest'),
          }),
        ]),
      );
    }
    const entry = jailbuild(['why', jail, 'xterm']);
    assert.match(entry.stdout, /terminal description xterm$/m);
    const { stdout } = jailbuild(['why', jail, '/bin/bash']);
    assert.match(stdout, /\/bash: requested as bash$/m);
    const human = jailbuild(['why', jail, 'libc.so.6']).stdout;
    assert.match(human, /^ {2}└─ \/.*libc\.so\.6: needed by \/usr\/bin\/bash \[/m);
    const missing = jailbuild(['why', jail, '/no/such/file']);
    assert.deepEqual([missing.status, missing.stdout], [1, '']);
    assert.match(missing.stderr, /^jailbuild: \/no\/such\/file: is not in [^\n]+\n$/);
  });
});

describe('inspect', needs('readelf', 'bash'), () => {
  test('summarises what readelf prints for each program of /usr/bin', () => {
    for (const name of ['bash', 'env', 'perl', 'git']) {
      const { stdout, status } = jailbuild(['inspect', name, '--json']);
      if (status !== 0) continue;
      const ours = JSON.parse(stdout);
      const readelf = exec('readelf', ['-WhldSn', ours.path]).stdout;
      const needed = [...readelf.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, soname]) => soname);
      assert.deepEqual(ours.dynamic.needed, needed);
      assert.equal(ours.buildId, readelf.match(/Build ID: ([0-9a-f]+)/)?.[1]);
      assert.equal(ours.interpreter, readelf.match(/interpreter: (.*)\]/)?.[1]);
      assert.equal(ours.entry, readelf.match(/Entry point address: +(\S+)/)?.[1]);
      const sections = [
        ...readelf.matchAll(/^ *\[ *\d+\] (\S*) +(\S+) +([0-9a-f]{8,}) ([0-9a-f]+) ([0-9a-f]+)/gm),
      ];
      assert.deepEqual(
        ours.sections.map((s: Record<string, unknown>) => [s.name, s.offset, s.size]),
        sections.map(([, section = '', type = '', , offset = '', size = '']) => [
          type === 'NULL' || section === 'NULL' ? '' : section,
          Number.parseInt(offset, 16),
          Number.parseInt(size, 16),
        ]),
      );
      const segments = [
        ...readelf.matchAll(/^ {2}([A-Z_]+) +0x[0-9a-f]+ 0x[0-9a-f]+ 0x[0-9a-f]+ 0x/gm),
      ];
      assert.deepEqual(
        ours.programHeaders.map((header: { type: string }) => header.type),
        segments.map(([, type]) => type),
      );
    }
  });

  test('prints lines, and refuses files that are not ELF', () => {
    const { stdout } = jailbuild(['inspect', 'bash']);
    assert.match(stdout, /^Interpreter: \/lib/m);
    assert.match(stdout, /^LOAD +r-x /m);
    assert.match(stdout, /\.dynstr +STRTAB /);
    fails('NOT_ELF', /^\/etc\/passwd: not an ELF file$/, ['inspect', '/etc/passwd']);
  });
});
