import assert from 'node:assert/strict';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { exec, jailbuild, succeed } from '../support/cli.js';
import { needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';

const directory = tempDir();
const at = (name: string) => path.join(directory, name);

/** Compiles a program of one file. */
function compile(name: string, code: string, ...flags: string[]): string {
  writeFileSync(at(`${name}.c`), code);
  succeed('cc', ['-o', at(name), at(`${name}.c`), ...flags]);
  return at(name);
}

function built(name: string, ...args: string[]): string {
  const { status, stderr } = jailbuild([at(`jail-${name}`), ...args]);
  assert.equal(stderr, '');
  assert.equal(status, 0);
  return at(`jail-${name}`);
}

const THREAD = '#include <pthread.h>\n#include <unistd.h>\n';

/** Programs whose C library loads libgcc_s.so.1 by itself; each returns 0 if that succeeds. */
const UNWINDING = {
  pthread_cancel: `${THREAD}static void *wait(void *p) { for (;;) pause(); return p; }
int main(void) {
  pthread_t t;
  void *end;
  pthread_create(&t, 0, wait, 0);
  pthread_cancel(t);
  pthread_join(t, &end);
  return end != PTHREAD_CANCELED;
}`,
  pthread_exit: `${THREAD}static void *leave(void *p) { pthread_exit(p); }
int main(void) {
  pthread_t t;
  void *end;
  pthread_create(&t, 0, leave, &t);
  pthread_join(t, &end);
  return end != &t;
}`,
  thrd_exit: `#include <threads.h>
static int leave(void *p) { (void)p; thrd_exit(7); }
int main(void) {
  thrd_t t;
  int end = 0;
  thrd_create(&t, leave, 0);
  thrd_join(t, &end);
  return end != 7;
}`,
  backtrace: `#include <execinfo.h>
int main(void) {
  void *frames[8];
  return backtrace(frames, 8) < 2;
}`,
};

describe('libraries that glibc loads by itself', needsRoot('cc', 'chroot'), () => {
  for (const [name, code] of Object.entries(UNWINDING)) {
    test(`libgcc_s.so.1 is added for ${name}, which fails without it`, () => {
      const program = compile(name, code, '-pthread');
      assert.ok(!succeed('readelf', ['-d', program]).includes('libgcc_s'));
      const jail = built(name, program);
      const run = exec('chroot', [jail, program]);
      assert.equal(run.status, 0, run.stderr);
      const why = succeed(process.execPath, [
        path.join(import.meta.dirname, '../../dist/jailbuild.cjs'),
        ...['why', jail, 'libgcc_s.so.1'],
      ]);
      assert.ok(why.includes(name), why);
      const bare = built(`${name}-bare`, program, '--dlopen', 'none');
      assert.notEqual(exec('chroot', [bare, program]).status, 0);
    });
  }

  test('a libgcc_s.so.1 missing on the host causes a warning', () => {
    const program = compile('cancels', UNWINDING.pthread_cancel, '-pthread');
    const root = built('host', program, '--no-record');
    const [library = ''] = exec('find', [root, '-name', 'libgcc_s.so.1']).stdout.split('\n');
    rmSync(library);
    rmSync(path.join(root, 'etc/ld.so.cache'));
    const { status, stderr } = jailbuild([at('jail-without'), program, '--sysroot', root]);
    assert.equal(status, 0, stderr);
    assert.match(
      stderr,
      /calls pthread_cancel, for which glibc opens libgcc_s\.so\.1, but it was not found/,
    );
  });

  test('libidn2 is added on request, and encodes host names', (t) => {
    const program = compile(
      'idn',
      `#define _GNU_SOURCE
#include <locale.h>
#include <netdb.h>
#include <stddef.h>
int main(void) {
  struct addrinfo *found, hints = {.ai_flags = AI_IDN};
  if (!setlocale(LC_ALL, "C.UTF-8")) return 2;
  return getaddrinfo("b\\xc3\\xbc" "cher.invalid", NULL, &hints, &found) == EAI_IDN_ENCODE;
}`,
    );
    if (exec(program, []).status !== 0) return t.skip('needs libidn2.so.0');
    const suggested = built('idn', program, '--locale', 'C.UTF-8', '--dlopen', 'suggested');
    assert.equal(exec('chroot', [suggested, program]).status, 0);
    const without = built('idn-without', program, '--locale', 'C.UTF-8');
    assert.equal(exec('chroot', [without, program]).status, 1);
  });
});

test('musl and static programs do not bring libgcc_s.so.1', needsRoot('musl-gcc', 'cc'), () => {
  writeFileSync(at('m.c'), UNWINDING.pthread_cancel);
  succeed('musl-gcc', ['-o', at('musl'), at('m.c')]);
  succeed('cc', ['-static', '-pthread', '-o', at('static'), at('m.c')]);
  const jail = built('others', at('musl'), at('static'));
  assert.equal(exec('find', [jail, '-name', 'libgcc_s*']).stdout, '');
  assert.ok(existsSync(`${jail}${at('musl')}`));
});
