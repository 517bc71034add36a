import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { exec, jailbuild } from '../support/cli.js';
import { boot, needsKernel } from '../support/kernel.js';
import { tempDir } from '../support/temp-dir.js';
import { OBSERVER } from './support.js';

/** Values of kernel.yama.ptrace_scope, and who may observe with them. */
const SCOPES = { 0: ['root', 'user'], 1: ['root', 'user'], 2: ['root'], 3: [] } as const;
const USERS = { root: 'sh', user: 'busybox su user' } as const;
const MECHANISMS = ['ptrace', 'notify'] as const;

/** In a virtual machine, since the highest value cannot be lowered until the next boot. */
describe('with the security module Yama', needsKernel('busybox'), () => {
  const directory = tempDir();
  const root = path.join(directory, 'root');
  /** The printed output, by run. */
  const said = new Map<string, string>();

  before(() => {
    for (const name of ['bin', 'dev', 'etc', 'proc', 'tmp'])
      mkdirSync(path.join(root, name), { recursive: true });
    assert.equal(exec('mknod', [`${root}/dev/console`, 'c', '5', '1']).status, 0);
    for (const name of ['busybox', 'sh']) copyFileSync('/usr/bin/busybox', `${root}/bin/${name}`);
    writeFileSync(`${root}/etc/passwd`, 'root::0:0::/:/bin/sh\nuser::1000:1000::/:/bin/sh\n');
    copyFileSync(OBSERVER, `${root}/observer`);
    const runs = Object.keys(SCOPES).flatMap((scope) => [
      `echo ${scope} > /proc/sys/kernel/yama/ptrace_scope`,
      ...Object.entries(USERS).flatMap(([user, words]) =>
        MECHANISMS.flatMap((mechanism) => [
          `echo; echo "@ ${scope} ${user} ${mechanism}"`,
          `${words} -c '/observer --report 3 --mechanism ${mechanism} -- /bin/busybox cat /absent' > /dev/null 2> /dev/null 3> /tmp/report`,
          `echo "status $?"; busybox tr '\\000' ' ' < /tmp/report; echo`,
        ]),
      ),
    ]);
    const init = ['#!/bin/sh', 'exec 2>&1', 'busybox mount -t proc proc /proc'];
    init.push('busybox mount -t devtmpfs dev /dev', 'busybox chmod 1777 /tmp', ...runs, '');
    writeFileSync(`${root}/init`, init.join('\n'));
    for (const name of ['init', 'observer']) chmodSync(`${root}/${name}`, 0o755);
    const archive = path.join(directory, 'initrd.cpio.gz');
    assert.equal(jailbuild(['export', root, '--to', `cpio:${archive}`]).status, 0);
    for (const part of boot(archive).split('\n@ ').slice(1)) {
      const end = part.indexOf('\n');
      said.set(part.slice(0, end), part.slice(end + 1));
    }
  });

  for (const [scope, who] of Object.entries(SCOPES)) {
    test(`ptrace_scope ${scope} lets ${who.join(' and ') || 'nobody'} observe`, () => {
      for (const user of Object.keys(USERS)) {
        for (const mechanism of MECHANISMS) {
          const run = said.get(`${scope} ${user} ${mechanism}`) ?? 'not run';
          if ((who as readonly string[]).includes(user)) {
            assert.match(run, /^status 1\n/, `${user}, ${mechanism}`);
            assert.match(run, /open absent \/bin\/busybox \/absent /);
            assert.match(run, /count unread {2}0 /);
          } else {
            const whom = scope === '2' ? 'root alone' : 'nobody';
            assert.match(run, /^status 125\n/, `${user}, ${mechanism}`);
            assert.match(
              run,
              new RegExp(`error {3}kernel.yama.ptrace_scope is ${scope}, .* to ${whom}: lower it`),
            );
            assert.doesNotMatch(run, /start found/);
          }
        }
      }
    });
  }
});
