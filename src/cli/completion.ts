import { EXIT } from '../base/errors.ts';
import type { CommandEntry, OptionEntry } from '../contract/command-entry.ts';
import { COMMAND_NAMES, COMMANDS, NAMESPACES, PROGRAM_OPTIONS } from '../contract/commands.ts';
import { succeeded, type Answer } from './answer.ts';
import type { Invocation } from './command-line.ts';

/**
 * Completion for bash, made from the table of commands: words, options, and the values of those that have choices or
 * are paths. The script asks no program and no daemon, and needs no bash-completion package.
 */
export function completion(invocation: Invocation): Answer {
  const script = bashScript(invocation.program);
  const shell = invocation.argument ?? '';
  return { ...succeeded(invocation, { shell, script }), text: script, exit: EXIT.ok };
}

export function bashScript(program: string): string {
  const name = `_${program}`;
  return `# bash completion for ${program}; made by \`${program} completion bash\`

# What may follow the words $1: more words, a fixed argument, or a path.
${name}_words() {
    case $1 in
${arms(wordArms())}
    esac
}

# Options of the command $1, each with its dashes.
${name}_options() {
    case $1 in
${arms(optionArms())}
    esac
    echo '${['--help', '-?', '--version', ...PROGRAM_OPTIONS.map(({ long }) => `--${long}`)].join(' ')}'
}

# Says what the value of option $2 of the command $1 is: words, file:, directory:, any:, or nothing for a flag.
${name}_values() {
    case "$1 $2" in
${arms(valueArms())}
    esac
}

${name}() {
    local word path='' option='' current=\${COMP_WORDS[COMP_CWORD]} index found
    COMPREPLY=()
    # bash gives --option=value as three words: the option, =, the value.
    for ((index = 1; index < COMP_CWORD; index++)); do
        word=\${COMP_WORDS[index]}
        if [[ $word == = ]]; then
            continue
        elif [[ -n $option ]]; then
            option=''
        elif [[ $word == -* ]]; then
            [[ -n $(${name}_values "$path" "$word") ]] && option=$word
        else
            path=\${path:+$path }$word
        fi
    done
    [[ $current == = ]] && current=''
    if [[ -n $option ]]; then
        found=$(${name}_values "$path" "$option")
    elif [[ $current == -* ]]; then
        found=$(${name}_options "$path")
    else
        found=$(${name}_words "$path")
    fi
    case $found in
        any:) ;;
        file:) mapfile -t COMPREPLY < <(compgen -f -- "$current"); compopt -o filenames 2>/dev/null ;;
        directory:) mapfile -t COMPREPLY < <(compgen -d -- "$current"); compopt -o filenames 2>/dev/null ;;
        *) mapfile -t COMPREPLY < <(compgen -W "$found" -- "$current") ;;
    esac
}

complete -F ${name} ${program}
`;
}

type Arm = readonly [pattern: string, printed: string];

/** Cases of a shell's `case`, every pattern and text quoted. */
function arms(cases: readonly Arm[]): string {
  return cases.map(([pattern, printed]) => `        ${pattern}) echo '${printed}' ;;`).join('\n');
}

function wordArms(): Arm[] {
  const paths = [...Object.keys(NAMESPACES), ...entries().map(({ words }) => words.join(' '))];
  const namespaces = ['', ...Object.keys(NAMESPACES)].map((path): Arm => {
    const children = paths.filter((each) => parentOf(each) === path).map((each) => each.split(' ').at(-1));
    return [quoted(path), children.join(' ')];
  });
  const leaves = entries().flatMap(({ words, argument }): Arm[] => {
    if (argument === undefined) return [];
    const printed = argument.choices?.join(' ') ?? (argument.name === 'FILE' ? 'file:' : 'any:');
    return [[quoted(words.join(' ')), printed]];
  });
  return [...namespaces, ...leaves];
}

function optionArms(): Arm[] {
  return commandsAsTyped().map(([path, { options }]): Arm => {
    const names = options.flatMap(({ long, short }) => [`--${long}`, ...(short ? [`-${short}`] : [])]);
    return [path, names.join(' ')];
  });
}

function valueArms(): Arm[] {
  const own = commandsAsTyped().flatMap(([path, { options }]) =>
    options.flatMap((option) => valueArm(option, (name) => pathAndOption(path, name))),
  );
  return [...own, ...PROGRAM_OPTIONS.flatMap((option) => valueArm(option, (name) => `*' ${name}'`))];
}

function valueArm(option: OptionEntry, pattern: (name: string) => string): Arm[] {
  const { type, long, short, choices, path } = option;
  if (type === 'flag') return [];
  const names = [`--${long}`, ...(short === undefined ? [] : [`-${short}`])];
  const printed = choices?.join(' ') ?? (path === undefined ? 'any:' : `${path}:`);
  return [[names.map(pattern).join('|'), printed]];
}

/** Patterns for each command that has options: with an argument, its value may stand behind the words. */
function commandsAsTyped(): [string, CommandEntry][] {
  return entries()
    .filter(({ options }) => options.length > 0)
    .map((command) => {
      const path = quoted(command.words.join(' '));
      return [command.argument === undefined ? path : `${path}|${path}' '*`, command];
    });
}

function pathAndOption(path: string, name: string): string {
  return path
    .split('|')
    .map((each) => `${each}' ${name}'`)
    .join('|');
}

function entries(): CommandEntry[] {
  return COMMAND_NAMES.map((name) => COMMANDS[name]);
}

function parentOf(path: string): string {
  return path.split(' ').slice(0, -1).join(' ');
}

function quoted(text: string): string {
  return `'${text}'`;
}
