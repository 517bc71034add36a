import type { CompletedCommand, CompletedOption, CompletedValue } from './model.js';

/** Returns the completion script for fish 3.5 or later. */
export function fishCompletion(commands: readonly CompletedCommand[]): string {
  const [first] = commands;
  const names = commands.map(({ name }) => name).join(' ');
  return `# fish completion for jailbuild, written by "jailbuild completion fish"
${HELPERS.replaceAll('COMMANDS', names)
  .replaceAll('FIRST', first?.name ?? '')
  .replace('VALUED', valuedCases(commands))}
complete -c jailbuild -f
${commands.map(({ name, summary }) => `complete -c jailbuild -n '__jailbuild_unnamed' -a ${name} -d ${quote(summary)}`).join('\n')}
${commands.flatMap(commandLines).join('\n')}
`;
}

function commandLines({ name, options, positionals, repeats, rest }: CompletedCommand): string[] {
  return [
    '',
    `# ${name}`,
    ...options.map((option) => optionLine(name, option)),
    ...positionals.flatMap((value, index) => {
      const orMore = repeats && index === positionals.length - 1 ? ' -or-more' : '';
      return argumentLines(`__jailbuild_at ${name} ${index}${orMore}`, value);
    }),
    ...restLines(name, rest),
  ];
}

function optionLine(command: string, { spellings, describe, value }: CompletedOption): string {
  const names = spellings.map((spelling) =>
    spelling.startsWith('--') ? `-l ${spelling.slice(2)}` : `-s ${spelling.slice(1)}`,
  );
  const takes = value === undefined ? '' : ` ${offering(value, true)}`;
  return `complete -c jailbuild -n '__jailbuild_in ${command}' ${names.join(' ')}${takes} -d ${quote(describe)}`;
}

function argumentLines(condition: string, value: CompletedValue): string[] {
  const offer = offering(value, false);
  return offer === '' ? [] : [`complete -c jailbuild -n '${condition}' ${offer}`];
}

function restLines(name: string, rest: CompletedValue): string[] {
  if (rest.kind !== 'jail-program') return argumentLines(`__jailbuild_behind ${name}`, rest);
  return [
    ...argumentLines(`__jailbuild_behind ${name} first`, rest),
    ...argumentLines(`__jailbuild_behind ${name} later`, { ...rest, kind: 'file' }),
  ];
}

/** The part of a complete command that lists candidates. */
function offering({ kind, words }: CompletedValue, isOption: boolean): string {
  const sources = [...words.map((word) => word.replaceAll("'", "\\'")), ...KIND_SOURCE[kind]];
  const open = words.some((word) => /[:=]$/.test(word)) ? ['(__jailbuild_beyond)'] : [];
  const offered = [...sources, ...open];
  const list = offered.length === 0 ? '' : `-a ${quote(offered.join(' '))}`;
  const files = kind === 'file' ? '-F' : '';
  const form = isOption ? (kind === 'file' ? '-r' : '-x') : '';
  return [form, files, list].filter((part) => part !== '').join(' ');
}

const KIND_SOURCE = {
  file: [],
  directory: ['(__fish_complete_directories (__jailbuild_token))'],
  program: ['(__jailbuild_programs $PATH)', '(__jailbuild_paths)'],
  'jail-program': ['(__jailbuild_programs (__jailbuild_jail)/{usr/local/,usr/,}{bin,sbin})'],
  none: [],
} as const;

function valuedCases(commands: readonly CompletedCommand[]): string {
  return commands
    .map(({ name, options }) => {
      const words = options.flatMap(({ spellings, value }) => (value ? spellings : []));
      return words.length === 0
        ? undefined
        : `        case ${words.map((word) => `${name}:${word}`).join(' ')}\n            return 0`;
    })
    .filter((line) => line !== undefined)
    .join('\n');
}

function quote(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`;
}

const HELPERS = `
# Prints the command, the number of words behind -- (0 without it), and the arguments.
function __jailbuild_words
    set -l command FIRST
    set -l named
    set -l skip
    set -l behind 0
    set -l arguments
    for word in (commandline -opc)[2..-1]
        if test $behind -gt 0
            set behind (math $behind + 1)
        else if test -n "$skip"
            set skip
        else if test "$word" = --
            set behind 1
        else if string match -q -- '-*' $word
            __jailbuild_valued $command $word; and set skip yes
        else if test -z "$named" -a (count $arguments) -eq 0; and contains -- $word COMMANDS
            set command $word
            set named yes
        else
            set -a arguments $word
        end
    end
    test -n "$named"; and echo named; or echo unnamed
    string join \\n -- $command $behind $arguments
end

function __jailbuild_valued
    switch $argv[1]:$argv[2]
VALUED
    end
    return 1
end

# No word but options yet: a command may be named.
function __jailbuild_unnamed
    set -l words (__jailbuild_words)
    test $words[1] = unnamed -a $words[3] -eq 0 -a (count $words) -eq 3
end

function __jailbuild_in
    set -l words (__jailbuild_words)
    test $words[2] = $argv[1] -a $words[3] -eq 0
end

# __jailbuild_at COMMAND N [-or-more]: the next argument is the Nth, counted from 0.
function __jailbuild_at
    set -l words (__jailbuild_words)
    set -l count (math (count $words) - 3)
    test $words[2] = $argv[1] -a $words[3] -eq 0; or return
    test $count -eq $argv[2]; or test -n "$argv[3]" -a $count -gt $argv[2]
end

# __jailbuild_behind COMMAND [first|later]: behind --.
function __jailbuild_behind
    set -l words (__jailbuild_words)
    test $words[2] = $argv[1] -a $words[3] -gt 0; or return
    switch "$argv[2]"
        case first
            test $words[3] -eq 1
        case later
            test $words[3] -gt 1
    end
end

function __jailbuild_jail
    string trim -r -c / -- (__jailbuild_words)[4]
end

# The value under the cursor, without the option before its =.
function __jailbuild_token
    commandline -ct | string replace -r -- '^--[^=]*=' ''
end

function __jailbuild_programs
    path filter -fx -- $argv/* | path basename
end

# A program may be given by a path, which begins with a directory.
function __jailbuild_paths
    set -l token (__jailbuild_token)
    if string match -q '*/*' -- $token
        __fish_complete_path $token
    else
        __fish_complete_directories $token
    end
end

# File names behind a word that ends in : or =.
function __jailbuild_beyond
    set -l parts (__jailbuild_token | string match -r -- '^([^:=]*[:=])(.*)$')
    test (count $parts) -eq 3; or return
    __fish_complete_path $parts[3] | string replace -r -- '^' $parts[2]
end
`;
