/**
 * Completion scripts for three shells, from a plain description of the commands.
 *
 * All of them work alike: the words before the cursor are walked to find the command they lead to, and what may follow
 * it is looked up in a table. Where nothing fits, the shell completes file names.
 */

export interface Choice {
  readonly word: string
  readonly about: string
}

/** One command, and the words that may stand behind it. */
export interface Level {
  /** `depot stage open` */
  readonly path: string
  readonly commands: readonly Choice[]
  readonly options: readonly (Choice & {
    readonly takesValue: boolean
    readonly choices: readonly string[]
  })[]
  /** Of its arguments, where there are only some. */
  readonly choices: readonly string[]
}

export function bashScript(levels: readonly Level[]): string {
  return `# bash completion for depot: eval "$(depot completion bash)"
_depot() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]} trail=depot words='' at
  for ((at = 1; at < COMP_CWORD; at++)); do
    case "$trail \${COMP_WORDS[at]}" in
      ${deeper(levels)}) trail="$trail \${COMP_WORDS[at]}" ;;
    esac
  done
  case "$trail $prev" in
${valueLines(levels, (words) => `words='${words}'`)}
    *)
      case "$trail" in
${levels.map((level) => `        '${level.path}') words='${wordsOf(level).join(' ')}' ;;`).join('\n')}
      esac ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _depot depot`
}

export function zshScript(levels: readonly Level[]): string {
  return `#compdef depot
# zsh completion for depot: eval "$(depot completion zsh)"
_depot() {
  local trail=depot at
  local -a described
  for ((at = 2; at < CURRENT; at++)); do
    case "$trail \${words[at]}" in
      ${deeper(levels)}) trail="$trail \${words[at]}" ;;
    esac
  done
  case "$trail \${words[CURRENT - 1]}" in
${valueLines(levels, (words) => `described=(${words})`)}
    *)
      case "$trail" in
${levels.map((level) => `        '${level.path}') described=(${described(level)}) ;;`).join('\n')}
      esac ;;
  esac
  (( \${#described} )) && _describe depot described && return
  _files
}
(( \${+functions[compdef]} )) || { autoload -Uz compinit && compinit; }
compdef _depot depot`
}

export function fishScript(levels: readonly Level[]): string {
  const lines = levels.flatMap((level) => {
    const condition = `-n "test (__depot_path) = '${level.path}'"`
    return [
      ...level.commands.map(
        ({ word, about }) => `complete -c depot ${condition} -f -a ${word} -d ${quoted(about)}`,
      ),
      ...level.choices.map((word) => `complete -c depot ${condition} -f -a ${word}`),
      ...level.options.map(({ word, about, takesValue, choices }) => {
        const flag = word.startsWith('--') ? `-l ${word.slice(2)}` : `-s ${word.slice(1)}`
        const value = takesValue ? (choices.length > 0 ? ` -x -a '${choices.join(' ')}'` : ' -r') : ''
        return `complete -c depot ${condition} ${flag}${value} -d ${quoted(about)}`
      }),
    ]
  })
  return `# fish completion for depot: depot completion fish | source
function __depot_path
  set -l path depot
  for word in (commandline -opc)[2..-1]
    switch "$path $word"
      case ${levels
        .slice(1)
        .map(({ path }) => `'${path}'`)
        .join(' ')}
        set path "$path $word"
    end
  end
  echo $path
end
${lines.join('\n')}`
}

/** The pattern of every path that is a step down. */
function deeper(levels: readonly Level[]): string {
  return levels
    .slice(1)
    .map(({ path }) => `'${path}'`)
    .join(' | ')
}

/** Behind an option that has only some values: those. */
function valueLines(levels: readonly Level[], set: (words: string) => string): string {
  return levels
    .flatMap(({ path, options }) =>
      options
        .filter(({ choices }) => choices.length > 0)
        .map(({ word, choices }) => `    '${path} ${word}') ${set(choices.join(' '))} ;;`),
    )
    .join('\n')
}

function wordsOf({ commands, choices, options }: Level): string[] {
  return [...commands.map(({ word }) => word), ...choices, ...options.map(({ word }) => word)]
}

/** `'word:what it does'`, as zsh wants it; a colon in the description needs no care, one in a word would. */
function described({ commands, choices, options }: Level): string {
  const lines = [...commands, ...options].map(({ word, about }) => quoted(`${word}:${about}`))
  return [...choices, ...lines].join(' ')
}

/** For all three shells: a quote inside ends the text, stands by itself, and begins it again. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`
}
