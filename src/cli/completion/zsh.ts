import type { CompletedCommand, CompletedOption, CompletedValue } from './model.js';

/** Returns the completion function for zsh's compsys. */
export function zshCompletion(commands: readonly CompletedCommand[]): string {
  const [first] = commands;
  const valued = (command: CompletedCommand): string =>
    command.options.flatMap(({ spellings, value }) => (value ? spellings : [])).join(' ');
  return `#compdef jailbuild
# zsh completion for jailbuild, written by "jailbuild completion zsh"

_jailbuild() {
  local curcontext=$curcontext state state_descr line ret=1
  typeset -A opt_args
  local -A valued=(
${commands.map((command) => `    ${command.name} ${quote(valued(command))}`).join('\n')}
  )
  local -a names=(
${commands.map(({ name, summary }) => `    ${quote(`${name}:${summary}`)}`).join('\n')}
  )
${FIND_COMMAND.replace('FIRST', first?.name ?? '').slice(1)}
  case $command in
${commands.map(commandCase).join('\n')}
  esac
  return ret
}
${HELPERS}
# Loaded by compinit, or read by a shell where compinit has run.
if [[ $funcstack[1] == _jailbuild ]]; then
  _jailbuild "$@"
else
  compdef _jailbuild jailbuild
fi
`;
}

function commandCase({ name, options, positionals, repeats, rest }: CompletedCommand): string {
  const specs = [
    ...options.flatMap(optionSpecs),
    ...positionals.map((value, index) => {
      const at = repeats && index === positionals.length - 1 ? '*' : String(index + 1);
      return `${at}:${colonEscaped(value.name)}:${action(value, index === 0)}`;
    }),
  ];
  return `    ${name})
      if (( behind )); then
        ${restAction(rest)}
        return
      fi
      _arguments -s -S : \\
${specs.map((spec) => `        ${quote(spec)}`).join(' \\\n')} && ret=0
      ;;`;
}

/** Returns one specification per spelling; a spelling excludes the others, unless it may be repeated. */
function optionSpecs({ spellings, describe, repeats, value }: CompletedOption): string[] {
  const lead = repeats ? '*' : spellings.length > 1 ? `(${spellings.join(' ')})` : '';
  return spellings.map((spelling) => {
    const takes = value === undefined ? '' : spelling.startsWith('--') ? '=' : '+';
    const what = value === undefined ? '' : `:${colonEscaped(value.name)}:${action(value, false)}`;
    return `${lead}${spelling}${takes}[${describe.replace(/[[\]\\]/g, '\\$&')}]${what}`;
  });
}

function action(value: CompletedValue, first: boolean): string {
  if (first) return ` _jailbuild_first ${value.kind} ${value.words.join(' ')}`.trimEnd();
  if (value.words.length === 0) return KIND_ACTION[value.kind];
  return ` _jailbuild_value ${value.kind} ${value.words.map(colonEscaped).join(' ')}`;
}

const KIND_ACTION = {
  file: '_files',
  directory: '_files -/',
  program: ' _jailbuild_value program',
  'jail-program': ' _jailbuild_value jail-program',
  none: ' ',
} as const;

function restAction({ kind, words }: CompletedValue): string {
  return kind === 'jail-program'
    ? `if (( behind == 1 )); then _jailbuild_value ${kind}; else _files; fi`
    : `_jailbuild_value ${kind} ${words.map(quote).join(' ')}`.trim();
}

function colonEscaped(text: string): string {
  return text.replaceAll(':', '\\:');
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

const FIND_COMMAND = `
  # The command: the first word that is neither an option nor an option's value. It is taken out, so
  # that what is left has the same form with and without it.
  local command=FIRST word jail=
  local -i index named=0 behind=0 skip=0 plain=0
  for (( index = 2; index < CURRENT; index++ )); do
    word=$words[index]
    if (( behind )); then
      (( behind++ ))
    elif (( skip )); then
      skip=0
    elif [[ $word == -- ]]; then
      behind=1
    elif [[ $word == -* ]]; then
      [[ " $valued[$command] " == *" $word "* ]] && skip=1
    elif (( ! named && ! plain && $names[(I)$word:*] )); then
      command=$word named=$index
    else
      (( plain++ )) || jail=$word
    fi
  done
  if (( named )); then
    words[named]=()
    (( CURRENT-- ))
  fi
  curcontext="\${curcontext%:*:*}:jailbuild-$command:"`;

const HELPERS = `
# The first argument may be the name of a command, where none was given.
_jailbuild_first() {
  if (( named )); then
    _jailbuild_value "$@"
  else
    _alternative 'commands:command:{_describe -t commands command names}' \\
      "arguments:argument:{_jailbuild_value $*}"
  fi
}

# _jailbuild_value KIND [WORD...]; a word that ends in : or = goes on with the name of a file.
_jailbuild_value() {
  local kind=$1 found=1 word
  shift
  for word; do
    if [[ $word == *[:=] && $PREFIX == \${(b)word}* ]]; then
      compset -P \${(b)word}
      _files
      return
    fi
  done
  local -a plain=(\${@:#*[:=]}) open=(\${(M)@:#*[:=]})
  (( $#plain )) && compadd -- $plain && found=0
  (( $#open )) && compadd -S '' -- $open && found=0
  case $kind in
    file) _files && found=0 ;;
    directory) _files -/ && found=0 ;;
    program)
      if [[ $PREFIX == */* ]]; then
        _files && found=0
      else
        _jailbuild_programs $path && found=0
        _files -/ && found=0
      fi
      ;;
    jail-program)
      _jailbuild_programs \${~jail%/}/{usr/local/,usr/,}{bin,sbin} && found=0
      ;;
  esac
  return found
}

_jailbuild_programs() {
  local -a found=(\${^@}/*(N-*:t))
  local expl
  _wanted -C programs programs expl 'program' compadd -a found
}
`;
