import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { observe } from '../prove/support.js';

/** Shell scripts whose file uses are compared. */
export const OBSERVED_RUNS: readonly string[] = [
  'ls -l /etc /usr/lib',
  'cat /etc/hostname /etc/absent; true',
  "/usr/bin/python3 -c 'import json, ssl, sqlite3, email, asyncio'",
  "/usr/bin/python3 -c 'import xml.dom.minidom, unittest, http.client'",
  "perl -MPOSIX -MJSON::PP -e 'print encode_json([1])'",
  'find /usr/share/zoneinfo -name Berlin',
  'tar -cf - /etc/ssl | tar -tf -',
  'tar -czf - /usr/share/zoneinfo/Europe | wc -c',
  'bash -c "for i in 1 2 3; do cat /etc/passwd | sort | uniq | wc -l; done"',
  'sh -c "echo hi | tr a-z A-Z"',
  'git --version && git -C / status',
  'printf "int main(){return 0;}" | gcc -xc - -o /dev/null',
  'printf "#include <stdio.h>\\n#include <stdlib.h>\\n" | gcc -E - | wc -l',
  'openssl version -a',
  'openssl dgst -sha256 /etc/passwd',
  'ssh -V',
  'ssh-keygen -l -f /etc/ssh/ssh_host_rsa_key.pub; true',
  'id root; getent passwd root; getent hosts localhost',
  'ps -ef | head -n 1',
  'locale -a',
  'man -w ls',
  'file /bin/ls',
  'gdb -batch -ex "p 1"',
  'rpm --version',
  'rsync --version',
  'zsh -c "autoload -U colors; colors"',
  'fish -c "math 6 x 7"',
  'vim.tiny --version',
  'ffmpeg -version',
  'crun --version; bwrap --version; strace -V',
  'busybox ls /',
  'apt-cache policy bash',
];

export interface Comparison {
  readonly run: string;
  /** What strace saw in two equal runs: `PATH found` or `PATH absent`. */
  readonly expected: number;
  readonly missing: readonly string[];
}

/** Compares what the observer sees of a run with what strace(1) sees. */
export function compareRun(run: string): Comparison {
  const directory = mkdtempSync(path.join(tmpdir(), 'jailbuild-observed-'));
  try {
    const [first, second] = [straced(run, directory), straced(run, directory)];
    const expected = [...first].filter((use) => second.has(use));
    const { uses } = observe(['/bin/sh', '-c', run]);
    const seen = new Set(
      uses.map(({ path: at, result }) => `${at} ${result === 'created' ? 'found' : result}`),
    );
    return { run, expected: expected.length, missing: expected.filter((use) => !seen.has(use)) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const CALL =
  /^\d+ +(\w+)\((?:(?:\d+|AT_FDCWD)<([^>]*)>, )?"((?:[^"\\]|\\.)*)".*\) += (-?\d+)(?: (\w+))?/;

/** Calls that look up one path, by strace's class. */
function straced(run: string, directory: string): Set<string> {
  const log = path.join(directory, 'log');
  const options = ['-f', '-y', '-s', '4096', '-e', 'trace=%file', '-o', log];
  // As under the observer: a shell whose input is a socket reads additional files.
  spawnSync('strace', [...options, '/bin/sh', '-c', run], { stdio: 'ignore' });
  const uses = new Set<string>();
  let isStarted = false;
  for (const line of readFileSync(log, 'latin1').split('\n')) {
    const [, call = '', at, name = '', result = '', errno] = CALL.exec(line) ?? [];
    // Before the command is executed, strace itself searches for it.
    if (call === 'execve' && !isStarted) {
      isStarted = true;
      continue;
    }
    if (name === '' || name.includes('\\') || /^(?:link|symlink|rename|mount)/.test(call)) continue;
    const isAbsent = errno === 'ENOENT' || errno === 'ENOTDIR';
    if (Number(result) < 0 && !isAbsent && errno !== 'EINVAL') continue;
    const whole = name.startsWith('/')
      ? name
      : `${at === '/' ? '' : (at ?? process.cwd())}/${name}`;
    // Names that contain PIDs differ from run to run.
    if (/^\/proc\/\d/.test(whole)) continue;
    uses.add(`${whole} ${isAbsent ? 'absent' : 'found'}`);
  }
  return uses;
}
