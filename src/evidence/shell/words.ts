import { baseName } from '../../text/base-name.js';

/**
 * Words that a shell interprets itself: reserved words, special and regular built-in utilities
 * (POSIX.1-2024, XCU 2.4, 2.15, 1.7), and those of bash(1), dash(1) and ksh(1).
 */
const BUILTINS: ReadonlySet<string> = new Set([
  ...[
    '.',
    ':',
    '[',
    '[[',
    '((',
    '{',
    '}',
    '!',
    'alias',
    'bg',
    'bind',
    'break',
    'builtin',
    'caller',
  ],
  ...['cd', 'chdir', 'command', 'compgen', 'complete', 'compopt', 'continue', 'declare', 'dirs'],
  ...['disown', 'echo', 'enable', 'eval', 'exec', 'exit', 'export', 'false', 'fc', 'fg', 'getopts'],
  ...['hash', 'help', 'history', 'jobs', 'kill', 'let', 'local', 'logout', 'mapfile', 'popd'],
  ...['print', 'printf', 'pushd', 'pwd', 'read', 'readarray', 'readonly', 'return', 'set', 'shift'],
  ...['shopt', 'source', 'suspend', 'test', 'times', 'trap', 'true', 'type', 'typeset', 'ulimit'],
  ...[
    'umask',
    'unalias',
    'unset',
    'wait',
    'whence',
    'select',
    'coproc',
    'function',
    'then',
    'else',
  ],
  ...['if', 'fi', 'do', 'done', 'case', 'esac', 'for', 'while', 'until', 'in', 'elif'],
]);

/** Returns whether a shell runs a command of this name itself. */
export function isBuiltin(name: string, shell: string): boolean {
  return BUILTINS.has(name) || (name === 'time' && /^(bash|ksh|mksh)/.test(shell));
}

/** Shells whose scripts bash's grammar can parse. */
const SHELLS = /^(sh|ash|dash|bash|rbash|ksh|ksh93|mksh|busybox)$/;

/** Returns whether an interpreter, by name or path, is a shell whose scripts can be parsed. */
export function isReadShell(interpreter: string): boolean {
  return SHELLS.test(baseName(interpreter));
}

/** How a program that runs a command takes it. */
interface Wrapper {
  /** Letters of options with a value, which may be the next word. */
  readonly values?: string;
  /** The same for long options. */
  readonly longValues?: readonly string[];
  /** Operands before the command, such as the duration of timeout(1). */
  readonly skips?: number;
  /** Whether assignments may precede the command: env(1), sudo(8). */
  readonly assigns?: boolean;
}

/** Programs that run the command that follows their options, by their manual pages. */
const WRAPPERS: Readonly<Record<string, Wrapper>> = {
  chrt: { values: 'TPD', skips: 1 },
  'dbus-run-session': { longValues: ['config-file', 'dbus-daemon'] },
  doas: { values: 'uC' },
  env: { values: 'uCSa', longValues: ['unset', 'chdir', 'split-string', 'argv0'], assigns: true },
  fakeroot: { values: 'lisb' },
  flock: { values: 'wEc', longValues: ['timeout', 'conflict-exit-code'], skips: 1 },
  ionice: { values: 'cnpPu', longValues: ['class', 'classdata', 'pid', 'pgid', 'uid'] },
  nice: { values: 'n', longValues: ['adjustment'] },
  nohup: {},
  prlimit: {},
  runuser: { values: 'ugG' },
  setarch: { skips: 1 },
  setpriv: { longValues: ['reuid', 'regid', 'groups', 'inh-caps', 'ambient-caps', 'bounding-set'] },
  setsid: {},
  stdbuf: { values: 'ioe', longValues: ['input', 'output', 'error'] },
  strace: { values: 'abeEIoOpPsSuX' },
  sudo: {
    values: 'CDghpRrtTUu',
    longValues: ['user', 'group', 'prompt', 'chdir', 'chroot', 'host'],
    assigns: true,
  },
  taskset: { skips: 1 },
  time: { values: 'fo', longValues: ['format', 'output'] },
  timeout: { values: 'ks', longValues: ['kill-after', 'signal'], skips: 1 },
  unshare: { values: 'SGRwlm' },
  xargs: {
    values: 'aEIdLnPs',
    longValues: ['arg-file', 'delimiter', 'max-args', 'max-procs', 'max-lines', 'max-chars'],
  },
  'xvfb-run': { values: 'efnps', longValues: ['error-file', 'auth-file', 'server-num'] },
};

const FIND_ACTIONS: ReadonlySet<string> = new Set(['-exec', '-execdir', '-ok', '-okdir']);
const ASSIGNMENT = /^[A-Za-z_]\w*=/;
/** Options that take a program: start-stop-daemon(8). */
const PROGRAM_OPTIONS = /^(?:-x|-a|--exec|--startas)$/;

/**
 * Returns the commands that a program runs according to its arguments, as words: `env`, `sudo`,
 * `xargs`, `find -exec` and similar.
 */
export function wrappedCommands(name: string, args: readonly string[]): string[][] {
  const program = baseName(name);
  if (program === 'find') {
    const commands = args.flatMap((arg, at) => (FIND_ACTIONS.has(arg) ? [args.slice(at + 1)] : []));
    return commands.filter(({ length }) => length > 0);
  }
  if (program === 'start-stop-daemon') {
    return args.flatMap((arg, at) =>
      PROGRAM_OPTIONS.test(arg) ? [args.slice(at + 1, at + 2)] : [],
    );
  }
  const wrapper = Object.hasOwn(WRAPPERS, program) ? WRAPPERS[program] : undefined;
  const command = wrapper === undefined ? [] : commandOf(wrapper, args);
  return command.length === 0 ? [] : [command];
}

/** Returns the words that follow options, assignments and other operands. */
function commandOf(wrapper: Wrapper, args: readonly string[]): string[] {
  let { skips = 0 } = wrapper;
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? '';
    if (arg === '--') return args.slice(at + 1 + skips);
    if (arg.startsWith('--')) {
      if (wrapper.longValues?.includes(arg.slice(2))) at++;
    } else if (/^-./.test(arg)) {
      if (wrapper.values?.includes(arg.at(-1) ?? '') && takesNext(wrapper, arg)) at++;
    } else if (arg === '-' || (wrapper.assigns && ASSIGNMENT.test(arg))) {
    } else if (skips > 0) {
      skips--;
    } else return args.slice(at);
  }
  return [];
}

/** The first letter that takes a value takes the rest of the word. */
function takesNext({ values = '' }: Wrapper, word: string): boolean {
  const first = [...word.slice(1)].findIndex((letter) => values.includes(letter));
  return first === word.length - 2;
}

/**
 * Returns the code passed to a shell, su(1) or flock(1) by -c, or the script that a shell runs;
 * undefined for other programs.
 */
export function shellArgument(
  name: string,
  args: readonly string[],
): { readonly code?: string; readonly script?: string } | undefined {
  const program = baseName(name);
  const takesCode = isReadShell(program) || /^(su|runuser|flock|script|watch)$/.test(program);
  if (!takesCode) return undefined;
  const words = program === 'busybox' ? args.slice(1) : args;
  if (program === 'busybox' && !isReadShell(args[0] ?? '')) return undefined;
  const at = words.findIndex((word) => /^-[A-Za-z]*c$/.test(word));
  if (at >= 0) return words[at + 1] === undefined ? {} : { code: words[at + 1] ?? '' };
  if (!isReadShell(program)) return undefined;
  const script = words.find((word) => !/^[-+]/.test(word));
  return script === undefined ? {} : { script };
}
