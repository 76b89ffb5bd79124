// The completion script for bash, from the same table as -h: options of the daemon, commands, and
// files where an option takes one.

import { COMMAND_LINES } from './man.ts'
import { SWITCHES } from './switches.ts'

/** A script that bash sources: `source <(memslab completion)`. */
export function completionText(): string {
  const options = SWITCHES.flatMap(({ letter, name }) =>
    letter === '' ? [`--${name}`] : [`-${letter}`, `--${name}`],
  )
  const files = SWITCHES.filter(({ value }) => value === '<file>').flatMap(({ letter, name }) =>
    letter === '' ? [`--${name}`] : [`-${letter}`, `--${name}`],
  )
  const commands = [...new Set(COMMAND_LINES.map(([usage]) => usage.split(' ')[0]))]
  return `# Completion of memslab for bash: source <(memslab completion)
_memslab() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]}
  case $before in
    ${files.join(' | ')})
      COMPREPLY=($(compgen -f -- "$word"))
      return ;;
  esac
  local words='${options.join(' ')}'
  if [ "$COMP_CWORD" -eq 1 ]; then
    words="${commands.join(' ')} $words"
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o bashdefault -o default -F _memslab memslab
`
}
