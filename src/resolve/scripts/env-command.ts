/** The program that env(1) runs when Linux starts it for a script. */
export interface EnvCommand {
  /** The program, by name or path. */
  readonly program: string;
  /** Directories that the line sets PATH to; undefined for the PATH of the caller. */
  readonly searchPath: readonly string[] | undefined;
}

/** The reason why env(1) would fail on the line, to follow the script's path. */
export interface BadEnvCommand {
  readonly problem: string;
}

export function isEnvCommand(result: EnvCommand | BadEnvCommand): result is EnvCommand {
  return 'searchPath' in result;
}

const FLAGS = new Set(['i', '0', 'v']);
const WITH_VALUE = new Set(['u', 'C', 'S', 'a']);
const LONG_FLAGS = new Set([
  'ignore-environment',
  'null',
  'debug',
  'list-signal-handling',
  'default-signal',
  'ignore-signal',
  'block-signal',
]);
const LONG_WITH_VALUE = new Set(['unset', 'chdir', 'split-string', 'argv0']);

/**
 * Parses the single word that Linux passes to env from a script's first line, as GNU env does
 * (coreutils, "env invocation"): options, assignments, then the program. Only `-S` splits it into
 * words.
 */
export function parseEnvArgument(argument: string | undefined): EnvCommand | BadEnvCommand {
  const words = argument === undefined ? [] : [argument];
  let searchPath: readonly string[] | undefined;
  let split = false;
  /** Replaces an option by the words of its string. */
  const splice = (value: string): BadEnvCommand | undefined => {
    const result = splitString(value);
    if (!Array.isArray(result)) return result as BadEnvCommand;
    split = true;
    words.unshift(...result);
    return undefined;
  };

  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === '--') break;
    if (word === '-') continue;
    if (!word.startsWith('-')) {
      words.unshift(word);
      break;
    }
    if (word.startsWith('--')) {
      const [name = '', ...rest] = word.slice(2).split('=');
      if (LONG_FLAGS.has(name)) continue;
      if (!LONG_WITH_VALUE.has(name)) return { problem: `its env has no option ${word}` };
      const value = rest.length > 0 ? rest.join('=') : words.shift();
      if (value === undefined) return { problem: `its env has no value for ${word}` };
      const bad = name === 'split-string' ? splice(value) : undefined;
      if (bad !== undefined) return bad;
      continue;
    }
    for (let at = 1; at < word.length; at++) {
      const letter = word.charAt(at);
      if (FLAGS.has(letter)) continue;
      if (!WITH_VALUE.has(letter)) {
        const hint = letter === ' ' ? '; env splits words only with -S' : '';
        return { problem: `its env has no option -${letter.trim() || "' '"}${hint}` };
      }
      const value = at + 1 < word.length ? word.slice(at + 1) : words.shift();
      if (value === undefined) return { problem: `its env has no value for -${letter}` };
      const bad = letter === 'S' ? splice(value) : undefined;
      if (bad !== undefined) return bad;
      break;
    }
  }

  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const cut = word.indexOf('=');
    if (cut < 0) {
      if (!split && /\s/.test(word)) {
        return {
          problem: `its env looks for a program named "${word}"; env splits words only with -S`,
        };
      }
      return { program: word, searchPath };
    }
    if (word.slice(0, cut) === 'PATH') searchPath = word.slice(cut + 1).split(':');
    if (!split && /\s/.test(word)) {
      return {
        problem: `its env takes "${word}" for one assignment and starts the script again, without end; env splits words only with -S`,
      };
    }
  }
  return { problem: 'its env is given no program and starts the script again, without end' };
}

const ESCAPES: Readonly<Record<string, string>> = {
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '#': '#',
  $: '$',
  '"': '"',
  "'": "'",
  '\\': '\\',
};

/**
 * Splits a string in the syntax of `env -S`. Variables of the environment, such as `${HOME}`, are
 * those of the script's caller, so a program named by one cannot be known.
 */
function splitString(text: string): string[] | BadEnvCommand {
  const words: string[] = [];
  let word: string | undefined;
  let quote: string | undefined;
  for (let at = 0; at < text.length; at++) {
    const char = text.charAt(at);
    if (quote === undefined && /\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (quote === undefined && (char === '"' || char === "'")) {
      quote = char;
      word ??= '';
    } else if (char === quote) {
      quote = undefined;
    } else if (quote === undefined && char === '#' && word === undefined) {
      break;
    } else if (char === '\\') {
      const next = text.charAt(++at);
      if (next === '') return { problem: 'its env -S ends with a backslash' };
      if (quote === "'") {
        word = (word ?? '') + (next === "'" || next === '\\' ? next : `\\${next}`);
      } else if (next === '_') {
        if (quote === '"') word = `${word ?? ''} `;
        else {
          if (word !== undefined) words.push(word);
          word = undefined;
        }
      } else if (next === 'c') {
        if (quote === '"') return { problem: 'its env -S has \\c inside double quotes' };
        break;
      } else {
        const escaped = ESCAPES[next];
        if (escaped === undefined) return { problem: `its env -S does not know \\${next}` };
        word = (word ?? '') + escaped;
      }
    } else if (char === '$' && quote !== "'") {
      const variable = /^\$\{[A-Za-z_][A-Za-z0-9_]*\}/.exec(text.slice(at))?.[0];
      if (variable === undefined)
        return { problem: 'its env -S has a $ that is not followed by {NAME}' };
      word = (word ?? '') + variable;
      at += variable.length - 1;
    } else {
      word = (word ?? '') + char;
    }
  }
  if (quote !== undefined) return { problem: 'its env -S has an unterminated quote' };
  if (word !== undefined) words.push(word);
  return words;
}
