import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ScriptFacts, ScriptUnit } from '../../../src/evidence/shell/script-facts.js';
import { loadShellSyntax } from '../../../src/evidence/shell/syntax.js';

const syntax = await loadShellSyntax();

function factsOf(text: string, shell = 'sh', ...sourced: readonly string[]): ScriptFacts {
  const unit = new ScriptUnit(syntax, shell);
  const number = unit.add(text, ['/opt/tool/bin/tool']);
  for (const other of sourced) unit.add(other, ['/opt/tool/lib.sh']);
  return unit.factsOf(number);
}

const commands = (text: string, shell?: string) =>
  factsOf(text, shell).commands.map(({ text: name }) => name);
const sources = (text: string) => factsOf(text).sources.map(({ text: name }) => name);
const computed = (text: string) => factsOf(text).computed.map(({ text: name }) => name);

/** Scripts, and the commands that they run. */
const RUN: Readonly<Record<string, readonly string[]>> = {
  'cut -f1 | sort; uniq && wc || tee': ['cut', 'sort', 'uniq', 'wc', 'tee'],
  'if grep -q x; then sed p; else awk 1; fi': ['grep', 'sed', 'awk'],
  'x=$(date) y=`hostname` z="$(id -u)"': ['date', 'hostname', 'id'],
  '/bin/cat <(ls)': ['/bin/cat', 'ls'],
  // Builtins of the shell.
  'echo a; cd /; [ -x /bin/ls ] && test 1; export A; printf x': [],
  'f() { tr a b; }; f; alias g=tac; g': ['tr'],
  // Words that are not commands.
  "cat <<'END'\nrm -rf $x\n$(reboot)\nEND\nprintf 'mkfs /dev/sda'": ['cat'],
  'case $1 in tar) ;; esac # shutdown now': [],
  'command -v fold; type -p nl': [],
  'command fmt': ['fmt'],
  'exec -a x shuf "$@"': ['shuf'],
  // Each value of a variable.
  'd=$(dirname "$0"); k=$KIND; [ x ] && k=one || k=two; exec "$d/run-$k"': [
    'dirname',
    '/opt/tool/bin/run-',
    '/opt/tool/bin/run-one',
    '/opt/tool/bin/run-two',
  ],
  // Functions that run their arguments.
  'run() { echo "$*"; eval $* || exit; }; b=/usr/bin; run $b/nl -b a': ['/usr/bin/nl'],
  'quit() { eval x=$1; }; quit nl': [],
  'env -i A=1 -u B tac': ['env', 'tac'],
  'sudo -u root A=1 nl x': ['sudo', 'nl'],
  'find . -name x | xargs -0 -n 1 -r pr': ['find', 'xargs', 'pr'],
  'find / -exec chmod 1 {} + -o -execdir stat {} ";"': ['find', 'chmod', 'stat'],
  'timeout -k 5 10 nice -n 3 factor 6': ['timeout', 'nice', 'factor'],
  "trap 'rm -f x; exit' EXIT; trap - INT": ['rm'],
  'eval \'comm a b\'; eval "join $x"; eval "$x=1"; eval $(resize)': ['comm', 'join', 'resize'],
  'sh -c "paste a | split"; bash -ec \'tsort "$1"\' x': ['sh', 'paste', 'split', 'bash', 'tsort'],
  // Variables with known values.
  'PAGER=less; $PAGER x; "${EDITOR:-vi}" y': ['less', 'vi'],
  'dir=/usr/lib/x; "$dir/a" & exec ${dir}/b': ['/usr/lib/x/a', '/usr/lib/x/b'],
  'cmd="ssh -q"; $cmd host': ['ssh'],
  ': ${SED=sed}; $SED p': ['sed'],
  'for tool in awk "perl -p"; do $tool; done': ['awk', 'perl'],
  'L="/a/x /b/y"; for l in $L; do ${l} --verify; done': ['/a/x', '/b/y'],
  'here=$(dirname "$0"); "$here/../lib/run"; ${0%/*}/other': [
    ...['dirname', '/opt/tool/bin/../lib/run', '/opt/tool/bin/other'],
  ],
  'p=`command -v gzip || echo pigz`; $p': ['gzip', 'pigz'],
  'set -- dpkg -l "$@"; "$@"': ['dpkg'],
  'run() { echo "$1"; "$@"; }; run mkdir x': ['mkdir'],
  '$SUDO make': ['make'],
  // Data after the end of a script.
  'exec wish "$0" "$@"\npackage require Tk; pack [button .b]': ['wish'],
  'cat x\nexit 0\n\\x00\\x01 garbage (((': ['cat'],
};

for (const [text, names] of Object.entries(RUN)) {
  test(`finds what a script runs: ${text.replaceAll('\n', '; ')}`, () => {
    assert.deepEqual(commands(text).sort(), [...names].sort());
  });
}

test('a command is recorded with the line of its first call', () => {
  assert.deepEqual(factsOf('# x\n\nls\nif ls; then\n  tr\nfi\n').commands, [
    { text: 'ls', line: 3 },
    { text: 'tr', line: 5 },
  ]);
});

test('time is a keyword of bash, and a program for sh', () => {
  assert.deepEqual(commands('time ls', 'bash').includes('time'), false);
  assert.deepEqual(commands('time ls', 'dash').includes('time'), true);
});

test('sourced files are recorded by path, pattern or variable', () => {
  assert.deepEqual(sources('. /etc/rc\nsource "$(dirname $0)/lib.sh"\n. ~/.profile'), [
    '/etc/rc',
    '/opt/tool/bin/lib.sh',
  ]);
  assert.deepEqual(sources('for f in /etc/p.d/*.sh; do . "$f"; done'), ['/etc/p.d/*.sh']);
});

test('variables and functions of sourced files are known', () => {
  const { commands: found, computed: unknown } = factsOf(
    '. /l\nlog x\n$TOOL y',
    'sh',
    'log() { cat; }\nTOOL=nl',
  );
  assert.deepEqual(
    found.map(({ text }) => text),
    ['nl'],
  );
  assert.deepEqual(unknown, []);
});

test('values computed at run time are reported, and arguments of the caller are not', () => {
  assert.deepEqual(computed('read -r cmd\n$cmd x'), ['$cmd x']);
  assert.deepEqual(factsOf('"helper-$1" a').computed, [
    { text: '"helper-$1" a', line: 1, start: 'helper-' },
  ]);
  assert.deepEqual(computed('. "$(find-lib)"'), ['. "$(find-lib)"']);
  assert.deepEqual(computed('"$@"; $1; exec "$BROWSER"; run_$1; run_a() { :; }'), []);
});

test('directories that a script adds to PATH are recorded', () => {
  assert.deepEqual(factsOf('d=/opt/x; PATH="$d/bin:$PATH:/y" z').searchPath, ['/opt/x/bin', '/y']);
});

test('invalid shell syntax is reported as such', () => {
  assert.equal(factsOf(')) (( ;; }} %%% <<< ((').isRefused, true);
  assert.equal(factsOf('ls\n)) (( ;;\ncat\n').isRefused, false);
});

test('a function that the grammar cannot parse does not affect others', () => {
  const text = 'a() {\n  tac x\n}\nb() {\n  for x in ; ; do )) done\n}\nc() {\n  rev y\n}\nc\n';
  assert.ok(commands(text).includes('tac'));
  assert.ok(commands(text).includes('rev'));
});

test('hostile scripts are read in bounded time', () => {
  const nested = '('.repeat(50_000);
  const cycle = Array.from(
    { length: 200 },
    (_, at) => `v${at}="$v${(at * 7) % 200} $v${(at * 3) % 200}"; $v${at}`,
  );
  const many = `set -- ${'"$@" '.repeat(500)}; `.repeat(50);
  const evals = 'eval "eval \'eval $x\'"; '.repeat(2_000);
  for (const text of [nested, cycle.join('\n'), many, evals, `x=${'$x'.repeat(20_000)}; $x`]) {
    const start = process.cpuUsage();
    factsOf(text);
    const { user } = process.cpuUsage(start);
    assert.ok(user < 20_000_000, `${text.slice(0, 20)}: ${user / 1e6} s`);
  }
});
