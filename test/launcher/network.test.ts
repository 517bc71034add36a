import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { exec, JAILBUILD, jailbuild } from '../support/cli.js';
import { buildJail } from '../support/jail.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';
import { AS_NOBODY } from './support.js';

describe('networks', needsRoot('ip', 'slirp4netns', 'pasta', 'python3', 'setpriv'), () => {
  const directory = tempDir();
  const jail = path.join(directory, 'jail');
  const serve = path.join(directory, 'serve.py');

  before(() => {
    buildJail(jail, ['bash', 'cat', 'sleep', 'timeout']);
    for (const name of ['proc', 'dev', 'tmp'])
      mkdirSync(path.join(jail, name), { recursive: true });
    exec('chmod', ['755', directory]);
    // If another user owns the jail, the mount point must exist already.
    writeFileSync(path.join(jail, 'etc/resolv.conf'), '');
    // Sends each client its own address.
    writeFileSync(
      serve,
      [
        'import socket, sys, threading',
        's = socket.create_server((sys.argv[1], int(sys.argv[2])))',
        'print("up", flush=True)',
        'while True:',
        '    c, a = s.accept()',
        '    c.sendall(("server of " + sys.argv[1] + "\\n").encode()); c.close()',
      ].join('\n'),
    );
  });

  /**
   * Runs inside a network of the test: a host at 198.51.100.1 whose only route is a veth to a
   * server's namespace at 198.51.100.2, without the network of this machine.
   */
  const inNetwork = (script: string, ...words: readonly string[]) =>
    exec(
      'unshare',
      [
        ...['-nm', 'bash', '-c'],
        [
          'set -e; ip link set lo up; unshare -n sleep 600 & other=$!',
          'until [ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done',
          'ip link add out type veth peer name in netns $other',
          'ip addr add 198.51.100.1/24 dev out; ip link set out up; ip route add default via 198.51.100.2',
          'n="nsenter -n -t $other"; $n ip addr add 198.51.100.2/24 dev in; $n ip link set in up; $n ip link set lo up',
          `$n python3 ${serve} 198.51.100.2 7000 > ${directory}/one & one=$!`,
          `python3 ${serve} 127.0.0.1 7001 > ${directory}/two & two=$!`,
          `until grep -q up ${directory}/one && grep -q up ${directory}/two; do sleep 0.05; done`,
          'trap "kill $one $two $other" EXIT',
          script,
        ].join('\n'),
        'bash',
        ...words,
        // A directory that users without rights may be in.
      ],
      { cwd: '/' },
    );
  /** @param limit in seconds; addresses that drop packets take all of it */
  const read = (address: string, port: number, limit: number): string =>
    `timeout ${limit} bash -c 'cat < /dev/tcp/${address}/${port}' 2>/dev/null || echo none`;

  /** Returns the names of helpers that still run in the test's network. */
  const LEFT_HELPERS =
    'for each in /proc/[0-9]*; do [ "$(readlink $each/ns/net)" != "$(readlink /proc/self/ns/net)" ] || cat $each/comm; done | grep -Ex "pasta(.avx2)?|slirp4netns"';

  const callers: Readonly<Record<string, readonly string[]>> = {
    root: [],
    'a user without rights': [...AS_NOBODY],
  };
  for (const [who, before_] of Object.entries(callers)) {
    for (const helper of ['outgoing', 'slirp4netns', 'pasta']) {
      if (who === 'root' && helper === 'pasta') continue;
      test(`${helper}, as ${who}: the server can be reached, the host's loopback cannot`, () => {
        const inside = [
          read('198.51.100.2', 7000, 60),
          read('127.0.0.1', 7001, 2),
          read('10.0.2.2', 7001, 2),
          read('198.51.100.2', 7001, 2),
        ].join('; ');
        const run = [
          process.execPath,
          JAILBUILD,
          'run',
          jail,
          '--overlay',
          'tmpfs',
          '--network',
          helper,
        ];
        const { stdout, stderr } = inNetwork(
          `"$@"; ${LEFT_HELPERS} >&2 || true`,
          ...before_,
          ...run,
          '--',
          'bash',
          '-c',
          inside,
        );
        assert.equal(stdout, 'server of 198.51.100.2\nnone\nnone\nnone\n', stderr);
        assert.doesNotMatch(stderr, /^(pasta|slirp4netns)/m);
      });
    }
  }

  // Wraps slirp4netns so that its socket appears long after the network.
  const late = path.join(directory, 'late');
  for (const [when, search] of [
    ['', ''],
    [', although the socket of slirp4netns comes late', `${late}:`],
  ] as const) {
    test(`a published port leads to the jail${when}`, () => {
      mkdirSync(late, { recursive: true });
      const wrapper = [
        '#!/bin/sh',
        'for word; do shift; case $word in */api) api=$word word=$word.late;; esac; set -- "$@" "$word"; done',
        '(sleep 1; mv "$api.late" "$api") & exec /usr/bin/slirp4netns "$@"',
      ];
      writeFileSync(path.join(late, 'slirp4netns'), `${wrapper.join('\n')}\n`, { mode: 0o755 });
      const run = [
        ...[process.execPath, JAILBUILD, 'run', '/', '--overlay', 'tmpfs'],
        ...['--network', 'slirp4netns', '--publish', '8080:80'],
        ...['--', 'python3', serve, '0.0.0.0', '80'],
      ];
      const own = path.join(directory, 'tmp');
      mkdirSync(own, { recursive: true });
      const script = [
        `TMPDIR=${own} PATH=${search}$PATH "$@" & jail=$!`,
        `for i in $(seq 400); do text=$(timeout 2 cat < /dev/tcp/198.51.100.1/8080) 2>/dev/null || true; [ -z "$text" ] || break; sleep 0.1; done`,
        // A killed run leaves nothing behind.
        `echo "$text"; ls ${own}; kill -9 $jail; wait $jail || true`,
      ].join('\n');
      const { stdout, stderr } = inNetwork(script, ...run);
      assert.match(stdout, /^(up\n)?server of 0\.0\.0\.0\n$/, stderr);
    });
  }

  test('a namespace is joined by path or name', () => {
    const script = [
      'mount -t tmpfs none /run; ip netns add jailtest; ip -n jailtest link set lo up',
      'ip -n jailtest link add mark type veth peer name other',
      'for n in ns:jailtest ns:/run/netns/jailtest; do "$@" --network $n -- bash -c "while read -r n _; do echo \\$n; done < /proc/net/dev"; done',
    ].join('\n');
    const { stdout, stderr } = exec('unshare', [
      ...['-m', 'bash', '-c', script, 'bash', process.execPath, JAILBUILD, 'run', jail],
    ]);
    assert.equal(stdout.match(/^mark(@other)?:$/gm)?.length, 2, stderr);
  });

  test('invalid options are refused', () => {
    const refused: readonly (readonly [readonly string[], RegExp])[] = [
      [['--network', 'other'], /--network other: give host, none, outgoing/],
      [['--publish', '80:80'], /--publish requires --network outgoing/],
      [['--network', 'outgoing', '--publish', '80'], /give \[ADDRESS:\]HOST:JAIL/],
      [['--network', 'outgoing', '--publish', '0:80'], /give \[ADDRESS:\]HOST:JAIL/],
    ];
    for (const [words, expected] of refused) {
      const { stderr, status } = jailbuild(['run', jail, ...words, '--', 'ls']);
      assert.match(stderr, expected);
      assert.equal(status, 2);
    }
    const gone = jailbuild(['run', jail, '--network', 'ns:/none', '--', 'ls']);
    assert.match(gone.stderr, /open the namespace \/none: No such file/);
    const without = exec(
      process.execPath,
      [JAILBUILD, 'run', jail, '--network', 'outgoing', '--', 'ls'],
      {
        env: { ...process.env, PATH: '/none' },
      },
    );
    assert.match(
      without.stderr,
      /neither pasta nor slirp4netns is in PATH: install passt or slirp4netns/,
    );
  });
});
