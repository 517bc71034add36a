import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { Sysroot } from '../../src/fs/sysroot.js';
import { findProgram } from '../../src/resolve/find-program.js';
import { tempDir } from '../support/temp-dir.js';

describe('a name that is not on PATH', () => {
  const root = tempDir();
  for (const file of ['usr/bin/rsync', 'usr/bin/xz', 'usr/sbin/nginx', 'srv/server']) {
    mkdirSync(path.join(root, path.dirname(file)), { recursive: true });
    writeFileSync(path.join(root, file), '', { mode: 0o755 });
  }
  writeFileSync(path.join(root, 'usr/bin/notes'), '', { mode: 0o644 });
  const refuses = (name: string, hint: string) =>
    test(`${name}${hint}`, () => {
      assert.throws(() => findProgram(new Sysroot(root), name, ['/usr/bin'], '/srv'), {
        code: 'PROGRAM_NOT_FOUND',
        message: `${name}: program not found on PATH (/usr/bin)${hint}`,
      });
    });

  refuses('rsinc', '; did you mean rsync?');
  refuses('nginx', '; to use /usr/sbin/nginx, name it by its path');
  refuses('server', '; to use ./server, name it by its path');
  refuses('postgres', '');
  refuses('zz', '');
  // The similar file is not executable.
  refuses('note', '');
});
