import assert from 'node:assert/strict';
import { chownSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { exec, INVOKE_NS, JAILBUILD, jailbuild } from '../support/cli.js';
import { needs, needsRoot } from '../support/need.js';
import { tempDir } from '../support/temp-dir.js';
import { AS_NOBODY, NOBODY } from './support.js';

interface Listed {
  readonly status: string;
  readonly changes: readonly {
    readonly kind: string;
    readonly path: string;
    readonly details: readonly string[];
  }[];
}

/** Makes every kind of change to the files of `before`. */
const SCRIPT = `
  echo new > /added; mkdir -p /made/below; : > /made/below/file; mkfifo /pipe; ln -s text /link
  echo longer >> /data/longer; printf X | dd of=/data/content conv=notrunc 2> /dev/null
  : >> /data/untouched; chmod 4755 /data/mode
  rm /data/gone; rm -r /data/tree; rm -r /data/anew; mkdir /data/anew; : > /data/anew/one
  rm /data/kind; mkdir /data/kind; : > /data/kind/inside
  rm /data/text; ln -s other /data/text
  mkdir '/made/with
newline'`;
const LINES = [
  ...['+ /added', '~ /data/anew/one: size 2 -> 0', '- /data/anew/two'],
  ...['~ /data/content: content', '- /data/gone', '~ /data/kind/: type file -> directory'],
  ...['+ /data/kind/inside', '~ /data/longer: size 2 -> 9', '~ /data/mode: mode 0644 -> 4755'],
  ...['~ /data/text: target some -> other', '- /data/tree/', '+ /link', '+ /made/'],
  ...['+ /made/below/', '+ /made/below/file', '+ /made/with\\x0anewline/', '+ /pipe'],
];

function makeJail(jail: string): void {
  const names = ['bash', 'chmod', 'dd', 'ln', 'mkdir', 'mkfifo', 'rm', 'cat', 'stat'];
  const built = jailbuild(['build', jail, ...names]);
  assert.equal(built.status, 0, built.stderr);
  for (const name of ['tree/deep', 'anew']) mkdirSync(`${jail}/data/${name}`, { recursive: true });
  for (const name of ['longer', 'content', 'untouched', 'mode', 'gone', 'kind', 'tree/deep/file'])
    writeFileSync(`${jail}/data/${name}`, '1\n');
  for (const name of ['one', 'two']) writeFileSync(`${jail}/data/anew/${name}`, '1\n');
  exec('ln', ['-s', 'some', `${jail}/data/text`]);
}

describe('changes of an overlay', needsRoot('setpriv'), () => {
  const directory = tempDir();
  const jail = path.join(directory, 'jail');
  const kept = path.join(directory, 'kept');

  before(() => {
    exec('chmod', ['755', directory]);
    makeJail(jail);
    mkdirSync(kept);
  });

  for (const where of ['tmpfs', kept]) {
    test(`are listed at the end of a run: ${path.basename(where)}`, () => {
      const file = path.join(directory, 'changes.json');
      const options = ['--overlay', where, '--list-changes', '--changes-file', file];
      const { stdout, stderr, status } = jailbuild([
        ...['run', jail, ...options, '--', 'bash', '-c', `${SCRIPT}; echo done; exit 7`],
      ]);
      assert.deepEqual([stdout, status], ['done\n', 7], stderr);
      assert.deepEqual(stderr.split('\n'), [...LINES, `${LINES.length} changes`, '']);
      const { status: word, changes } = JSON.parse(readFileSync(file, 'utf8')) as Listed;
      assert.equal(word, 'different');
      assert.equal(changes.length, LINES.length);
      assert.deepEqual(
        changes.find((change) => change.path === '/data/mode'),
        {
          ...{ kind: 'changed', path: '/data/mode', type: 'file', size: 2 },
          details: ['mode 0644 -> 4755'],
        },
      );
      assert.deepEqual(readdirSync(`${jail}/data`).includes('gone'), true);
    });
  }

  for (const [how, command] of [
    ['the command', [JAILBUILD]],
    ['Node', [path.resolve('dist/jailbuild.cjs')]],
  ] as const) {
    const run = (...words: readonly string[]) =>
      exec(process.execPath, ['--', ...command, 'run', jail, ...words]);

    test(`must not be in the jail, nor around it: ${how}`, () => {
      const inside = `${jail}/inside`;
      mkdirSync(inside, { recursive: true });
      for (const [where, problem] of [
        [inside, 'is inside the root of the jail: give a directory outside of it'],
        [jail, 'is inside the root of the jail: give a directory outside of it'],
        [directory, 'contains the root of the jail: give a directory of its own'],
      ] as const) {
        const { status, stdout, stderr } = run('--overlay', where, '--', 'bash', '-c', 'echo ran');
        assert.deepEqual(
          [status, stdout, stderr],
          [125, '', `invoke_ns: --overlay ${where} ${problem}\n`],
        );
        assert.deepEqual(readdirSync(where).includes('upper'), false);
      }
    });

    test(`are of one run at a time: ${how}`, () => {
      const store = path.join(directory, `store-${how}`);
      mkdirSync(store);
      // The first run waits for the second, which the script runs meanwhile.
      const script = `
        mkfifo "$0/go"; exec 3<> "$0/go"
        "$@" -- bash -c 'echo first; read line' <&3 & first=$!
        until [ -d "$0/work/work" ]; do sleep 0.02; done
        "$@" -- bash -c 'echo second'; echo "second: $?"
        echo >&3; wait $first; echo "first: $?"
        "$@" -- bash -c 'echo third'; echo "third: $?"`;
      const words = [process.execPath, '--', ...command, 'run', jail, '--overlay', store];
      const { stdout, stderr } = exec('bash', ['-c', script, store, ...words]);
      const lines = ['first', 'second: 125', 'first: 0', 'third', 'third: 0', ''];
      assert.deepEqual(stdout.split('\n'), lines, stderr);
      assert.equal(
        stderr,
        `invoke_ns: --overlay ${store} is in use by another run: wait for its end, or give another directory\n`,
      );
    });
  }

  test('are the same if the directory is read later', () => {
    const words = ['diff', jail, `overlay:${kept}`];
    const { stdout, status } = jailbuild([...words, '--exit-code']);
    assert.equal(status, 3);
    assert.deepEqual(stdout.split('\n'), [...LINES, `${LINES.length} changes`, '']);
    assert.equal(
      (JSON.parse(jailbuild([...words, '--json']).stdout) as Listed).status,
      'different',
    );
    const empty = path.join(directory, 'empty');
    mkdirSync(`${empty}/upper`, { recursive: true });
    const same = jailbuild(['diff', jail, `overlay:${empty}`, '--exit-code']);
    assert.deepEqual([same.stdout, same.status], ['No changes\n', 0]);
    const none = jailbuild(['diff', jail, `overlay:${directory}/none`]);
    assert.match(none.stderr, /^jailbuild: .*none: not an overlay of run: /);
    assert.equal(none.status, 1);
  });

  test('match the merged root', () => {
    const [before, after] = [path.join(directory, 'before'), path.join(directory, 'after')];
    const merged = path.join(directory, 'merged');
    for (const at of [before, after, merged]) mkdirSync(at);
    exec('cp', ['-a', `${jail}/.`, before]);
    const layers = `lowerdir=${jail},upperdir=${kept}/upper,workdir=${kept}/work,index=off`;
    const copied = exec('unshare', [
      ...['-m', 'sh', '-ec'],
      `mount -t overlay o -o ${layers} ${merged}; cp -a ${merged}/. ${after}`,
    ]);
    assert.equal(copied.status, 0, copied.stderr);
    const { stdout } = jailbuild(['diff', before, after, '--json']);
    const { changes } = JSON.parse(stdout) as Listed;
    const found = changes
      // A tree is one line of ours.
      .filter(({ path: at }) => !/^\/(data\/tree\/|\.jailbuild|dev$|proc$|tmp$)/.test(at))
      .map(({ kind, path: at, details }) => `${kind} ${at} ${details}`);
    const listed = JSON.parse(
      jailbuild(['diff', jail, `overlay:${kept}`, '--json']).stdout,
    ) as Listed;
    assert.deepEqual(
      listed.changes.map(({ kind, path: at, details }) => `${kind} ${at} ${details}`),
      found,
    );
  });

  test('can be listed by a user', () => {
    const own = path.join(directory, 'own');
    mkdirSync(own);
    exec('chmod', ['755', jail]);
    exec('chown', [`${NOBODY}:${NOBODY}`, own]);
    const [file = '', ...before] = AS_NOBODY;
    for (const where of ['tmpfs', own]) {
      const words = ['run', jail, '--overlay', where, '--list-changes', '--'];
      const command = ['bash', '-c', 'echo > /added; mkdir /made'];
      const all = [...before, process.execPath, JAILBUILD, ...words, ...command];
      const { stderr, status } = exec(file, all, { cwd: '/' });
      assert.deepEqual([stderr, status], ['+ /added\n+ /made/\n2 changes\n', 0]);
    }
  });

  test('options that need an overlay are refused without one', () => {
    for (const option of [['--list-changes'], ['--changes-file', '/dev/null']]) {
      const { stderr, status } = jailbuild(['run', jail, ...option, '--', 'cat']);
      assert.match(stderr, /--list-changes and --changes-file require --overlay/);
      assert.equal(status, 2);
    }
  });

  test('a command that cannot start leaves no list', () => {
    const file = path.join(directory, 'none.json');
    const words = ['run', `${directory}/nowhere`, '--overlay', 'tmpfs', '--changes-file', file];
    assert.equal(jailbuild([...words, '--', 'cat']).status, 125);
    assert.equal(readdirSync(directory).includes('none.json'), false);
  });
});

describe('--mount type=overlay', needsRoot('setpriv'), () => {
  const directory = tempDir();
  const jail = path.join(directory, 'jail');
  const lower = path.join(directory, 'low,er:1');
  const script = 'echo more >> /d/file; echo new > /d/new; rm /d/gone; cat /d/file; echo /d/*';

  before(() => {
    exec('chmod', ['755', directory]);
    makeJail(jail);
    mkdirSync(lower);
    for (const name of ['file', 'gone']) writeFileSync(`${lower}/${name}`, 'first\n');
  });
  const run = (mount: string) =>
    jailbuild(['run', jail, '--mount', mount, '--', 'bash', '-c', script]);

  test('discards changes without layers of its own', () => {
    const { stdout, stderr } = run(`type=overlay,"src=${lower}",dst=/d`);
    assert.equal(stdout, 'first\nmore\n/d/file /d/new\n', stderr);
    assert.deepEqual(readdirSync(lower), ['file', 'gone']);
  });

  test('keeps changes in the given layers', () => {
    const [upper, work] = [path.join(directory, 'upper:1'), path.join(directory, 'work')];
    for (const at of [upper, work]) mkdirSync(at);
    const { stdout } = run(`type=overlay,"src=${lower}",dst=/d,upperdir=${upper},workdir=${work}`);
    assert.equal(stdout, 'first\nmore\n/d/file /d/new\n');
    assert.deepEqual(readdirSync(upper).sort(), ['file', 'gone', 'new']);
    assert.deepEqual(readdirSync(lower), ['file', 'gone']);
  });

  test('works for a user, also on a root that is itself an overlay', () => {
    exec('chmod', ['755', jail]);
    const [file = '', ...before] = AS_NOBODY;
    const mount = `type=overlay,"src=${lower}",dst=/d`;
    const words = ['run', jail, '--overlay', 'tmpfs', '--mount', mount, '--', 'bash', '-c'];
    const { stdout, stderr } = exec(
      file,
      [...before, process.execPath, JAILBUILD, ...words, 'echo new > /d/new; echo /d/*'],
      { cwd: '/' },
    );
    assert.equal(stdout, '/d/file /d/gone /d/new\n', stderr);
  });

  test('has the owner and mode of the directory below', () => {
    const [shared, kept] = [path.join(directory, 'shared'), path.join(directory, 'kept')];
    for (const at of [shared, kept]) mkdirSync(at);
    chownSync(shared, 1234, 4321);
    exec('chmod', ['3775', shared]);
    exec('chmod', ['751', jail]);
    for (const overlay of ['tmpfs', kept]) {
      const { stdout, stderr } = jailbuild([
        ...['run', jail, '--overlay', overlay, '--mount', `type=overlay,src=${shared},dst=/d`],
        ...['--', 'stat', '-c', '%a %u:%g', '/', '/d'],
      ]);
      assert.equal(stdout, '751 0:0\n3775 1234:4321\n', stderr);
    }
  });

  test('stacks several sources, also read-only', () => {
    const [first, second, top] = ['first:1', 'second', 'top'].map((name) => {
      const at = path.join(directory, name);
      mkdirSync(at);
      for (const file of ['all', name.slice(0, 5)]) writeFileSync(`${at}/${file}`, `${name}\n`);
      return at;
    });
    const [upper, work] = [path.join(directory, 'upper-2'), path.join(directory, 'work-2')];
    for (const at of [upper, work]) mkdirSync(at);
    const sources = `type=overlay,src=${first},source=${second},src=${top},dst=/d`;
    const script = 'cat /d/all; echo new 2> /dev/null > /d/all || echo held; cat /d/all; echo /d/*';
    const runIn = (words: string) =>
      jailbuild(['run', jail, '--mount', `${sources}${words}`, '--', 'bash', '-c', script]);
    const names = '/d/all /d/first /d/secon /d/top\n';
    const memory = runIn('');
    assert.equal(memory.stdout, `top\nnew\n${names}`, memory.stderr);
    assert.equal(runIn(',ro').stdout, `top\nheld\ntop\n${names}`);
    assert.equal(runIn(`,upperdir=${upper},workdir=${work}`).stdout, `top\nnew\n${names}`);
    assert.equal(readFileSync(`${upper}/all`, 'utf8'), 'new\n');
    assert.equal(readFileSync(`${top}/all`, 'utf8'), 'top\n');
    const many = Array.from({ length: 16 }, () => `src=${top}`).join();
    const { stderr, status } = run(`type=overlay,${many},dst=/d`);
    assert.match(stderr, /the overlay has too many lower directories/);
    assert.equal(status, 125);
    assert.match(run(`type=overlay,src=${top},src=,dst=/d`).stderr, /src=SRC/);
    assert.match(run(`type=bind,src=${top},src=${top},dst=/d`).stderr, /give src once/);
  });

  test('refuses incomplete layers and a missing source', () => {
    assert.match(run(`src=${directory},type=overlay,dst=/d,upperdir=/x`).stderr, /together/);
    const { stderr, status } = run('type=overlay,src=/nothing/here,dst=/d');
    assert.match(stderr, /open for the overlay \/nothing\/here: No such file/);
    assert.equal(status, 125);
  });
});

test('lists what the launcher can read, and reports what it cannot', needs('mkdir'), () => {
  const directory = tempDir();
  for (const name of ['store/upper/deep', 'root']) exec('mkdir', ['-p', `${directory}/${name}`]);
  const list = () =>
    exec(INVOKE_NS, [
      ...['-m', '-c', `${directory}/root`, '--overlay', `${directory}/store`, '--list-overlay'],
    ]);
  assert.match(list().stdout, /^d \d+ \d+ \d+ \d+ 0:0 \/\0d \d+ \d+ \d+ \d+ 0:0 \/deep\0$/);
  // Deeper than the maximum path length.
  const deep = `cd ${directory}/store/upper/deep; i=0; n=$(printf %0200d 0)
    while [ $i -lt 25 ]; do mkdir $n; cd $n; i=$((i+1)); done`;
  assert.equal(exec('bash', ['-c', deep]).status, 0);
  const { stdout, status } = list();
  assert.equal(status, 0);
  assert.match(stdout, /\0\? \d+/);
  exec('rm', ['-rf', directory]);
});
