import type { CompletedCommand, CompletedValue } from './model.js';

/** Returns a self-contained completion script for bash 4.3 or later. */
export function bashCompletion(commands: readonly CompletedCommand[]): string {
  const [first] = commands;
  return `${HEADER}
# Sets kind and offered for the value of an option; fails for a switch.
_jailbuild_option() {
  case $1:$2 in
${commands.flatMap(optionCases).join('\n')}
    *) return 1 ;;
  esac
}

# Sets kind and offered for a positional, counted from 0, or for what stands behind --.
_jailbuild_argument() {
  case $1:$2 in
${commands.flatMap(argumentCases).join('\n')}
  esac
}

_jailbuild() {
  local commands='${commands.map(({ name }) => name).join(' ')}'
  local command=${first?.name ?? ''} options
${ALGORITHM.slice(1)}
  case $command in
${commands.map(optionList).join('\n')}
  esac
${OFFER.slice(1)}`;
}

function optionCases({ name, options }: CompletedCommand): string[] {
  return options.flatMap(({ spellings, value }) =>
    value === undefined
      ? []
      : `    ${spellings.map((spelling) => `${name}:${spelling}`).join(' | ')}) ${settings(value)} ;;`,
  );
}

function argumentCases({ name, positionals, repeats, rest }: CompletedCommand): string[] {
  return [
    `    ${name}:rest) ${settings(rest)} ;;`,
    ...positionals.map((value, index) => {
      const at = repeats && index === positionals.length - 1 ? '*' : String(index);
      return `    ${name}:${at}) ${settings(value)} ;;`;
    }),
  ];
}

function settings({ kind, words }: CompletedValue): string {
  return `kind=${kind} offered=${quote(words.join(' '))}`;
}

function optionList({ name, options }: CompletedCommand): string {
  const words = options.flatMap(({ spellings }) => spellings);
  return `    ${name}) options=${quote(words.join(' '))} ;;`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

const HEADER = `# bash completion for jailbuild, written by "jailbuild completion bash"
`;

const ALGORITHM = `
  # Words as they were typed: readline takes them apart at = and : as well.
  local line=$COMP_LINE word unblanked
  local -a typed=()
  for word in "\${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
    unblanked=\${line#"\${line%%[![:blank:]]*}"}
    if [[ \${#typed[@]} -gt 0 && $unblanked == "$line" && ($word == [=:]* || \${typed[-1]} == *[=:]) ]]; then
      typed[-1]+=$word
    else
      typed+=("$word")
    fi
    line=\${unblanked#"$word"}
  done

  # What stands before the cursor.
  local kind=none offered='' behind='' named='' option=''
  local -a arguments=()
  for word in "\${typed[@]:1:\${#typed[@]}-2}"; do
    if [[ $behind ]]; then
      behind+=x
    elif [[ $option ]]; then
      option=''
    elif [[ $word == -- ]]; then
      behind=x
    elif [[ $word == -* ]]; then
      [[ $word == *=* ]] || ! _jailbuild_option "$command" "$word" || option=$word
    elif [[ ! $named && \${#arguments[@]} -eq 0 && " $commands " == *" $word "* ]]; then
      command=$word named=yes
    else
      arguments+=("$word")
    fi
  done

  # What is to be completed: cur, behind lead.
  local whole=\${typed[-1]} lead='' cur
  kind=none offered=''
  if [[ $option ]]; then
    _jailbuild_option "$command" "$option"
  elif [[ $behind ]]; then
    _jailbuild_argument "$command" rest
    # Behind a command stand its arguments.
    [[ $behind == x || $kind != jail-program ]] || kind=file
  elif [[ $whole == --*=* ]]; then
    lead=\${whole%%=*}=
    _jailbuild_option "$command" "\${whole%%=*}"
  elif [[ $whole == -* ]]; then
    kind=option
  else
    _jailbuild_argument "$command" "\${#arguments[@]}"
    [[ $named || \${#arguments[@]} -gt 0 ]] || offered+=" $commands"
  fi
  cur=\${whole:\${#lead}}`;

const OFFER = `
  local -a replies=()
  for word in $offered; do
    if [[ $word == *[=:] && $cur == "$word"* ]]; then
      lead+=$word cur=\${cur:\${#word}} kind=file offered=''
      break
    fi
  done
  for word in $offered; do
    [[ $word == "$cur"* ]] || continue
    replies+=("$word")
    [[ $word == *[=:] ]] && compopt -o nospace
  done
  case $kind in
    option) mapfile -t replies < <(compgen -W "$options" -- "$cur") ;;
    directory) _jailbuild_files -d ;;
    file) _jailbuild_files -f ;;
    program)
      # By name, or by a path, which begins with a directory.
      if [[ $cur == */* ]]; then
        _jailbuild_files -f
      else
        _jailbuild_programs "\${PATH//:/$'\\n'}"
        _jailbuild_files -d
      fi
      ;;
    jail-program)
      _jailbuild_programs "$(printf "\${arguments[0]%/}/%s\\n" {usr/local/,usr/,}{bin,sbin})"
      ;;
  esac

  # Readline replaces what follows the last of its breaks.
  local start=$whole reply
  while [[ $start && ! ($start == *[=:] && $COMP_WORDBREAKS == *"\${start: -1}"*) ]]; do
    start=\${start%?}
  done
  COMPREPLY=()
  for reply in "\${replies[@]}"; do
    reply=$lead$reply
    COMPREPLY+=("\${reply:\${#start}}")
  done
}

_jailbuild_files() {
  local name
  compopt -o filenames
  while IFS= read -r name; do replies+=("$name"); done < <(compgen "$1" -- "$cur")
}

# Programs in directories, one a line.
_jailbuild_programs() {
  local directory file
  while IFS= read -r directory; do
    for file in "$directory/$cur"*; do
      [[ -f $file && -x $file ]] && replies+=("\${file##*/}")
    done
  done <<<"$1"
}

complete -F _jailbuild jailbuild
`;
