import type { ArgumentEntry, CommandEntry, OptionEntry } from '../contract/command-entry.ts';
import {
  COMMAND_NAMES,
  COMMANDS,
  NAMESPACES,
  PROGRAM_OPTIONS,
  type CommandName,
} from '../contract/commands.ts';
import type { ProgramName } from './io.ts';

/** The layout of esxcli's help: descriptions at column 24, or on the next line where a name reaches it. */
const DESCRIPTION_COLUMN = 24;
const WIDTH = 80;

export const TYPE_NAMES = {
  string: '<str>',
  integer: '<long>',
  number: '<num>',
  duration: '<time>',
  flag: '',
} as const;

/** Help of the program (no words) or of a namespace. */
export function namespaceHelp(words: readonly string[], program: ProgramName): string {
  const path = [program, ...words].join(' ');
  const usage =
    words.length === 0
      ? `Usage: ${path} [options] {namespace}+ {cmd} [cmd options]\n\n${programOptions()}`
      : `Usage: ${path} {cmd} [cmd options]\n`;
  const namespaces = childNamespaces(words).map(([word, summary]) => entry(`  ${word}`, summary));
  const commands = childCommands(words).map(({ words: all, summary }) =>
    entry(`  ${all.at(-1) ?? ''}`, summary),
  );
  return usage + section('Available Namespaces:', namespaces) + section('Available Commands:', commands);
}

export function commandHelp(name: CommandName, program: ProgramName): string {
  const command: CommandEntry = COMMANDS[name];
  const { words, summary, argument, options } = command;
  const path = [program, ...words, ...(argument === undefined ? [] : [argumentUsage(argument)])].join(' ');
  const argumentLines = argument === undefined ? [] : [entry(`  ${argument.name}`, argumentText(argument))];
  return (
    `Usage: ${path} [cmd options]\n` +
    section('Description: ', [entry(`  ${words.at(-1) ?? ''}`, summary)]) +
    section('Arguments:', argumentLines) +
    section(
      'Cmd options:',
      options.map((option) => entry(`  ${optionUsage(option)}`, optionText(option))),
    )
  );
}

/** `-r|--reason`, as help and errors name an option. */
export function optionName({ short, long }: OptionEntry): string {
  return short === undefined ? `--${long}` : `-${short}|--${long}`;
}

/** What a value must be, for help and errors: `an integer from 1 to 4096`, `one of a, b`; empty when anything will do. */
export function valueRule({ type, minimum, maximum, choices }: OptionEntry): string {
  if (choices !== undefined) return `one of ${choices.join(', ')}`;
  if (minimum === undefined || maximum === undefined) return '';
  switch (type) {
    case 'flag':
      return '';
    case 'integer':
      return `an integer from ${minimum} to ${maximum}`;
    case 'number':
      return `a decimal or fraction from ${minimum} to ${maximum}`;
    case 'duration':
      return `seconds from ${minimum} to ${maximum}, or with a unit: 90s, 10m, 2h`;
    case 'string':
      return `${minimum} to ${maximum} printable characters`;
  }
}

function programOptions(): string {
  const lines = PROGRAM_OPTIONS.map((option: OptionEntry) => {
    const value = option.type === 'flag' ? '' : `=${placeholderOf(option)}`;
    return entry(`   --${option.long}${value}`, option.description);
  });
  const others = [
    entry('   --version', 'Print the version of the program'),
    entry('   -?, --help', 'Print this help, or that of a namespace or command'),
  ];
  return `Options:\n${[...lines, ...others].join('')}`;
}

function placeholderOf({ long, path }: OptionEntry): string {
  if (long === 'server') return 'URL';
  return path === undefined ? long.toUpperCase() : path === 'file' ? 'FILE' : 'DIR';
}

function childNamespaces(words: readonly string[]): [string, string][] {
  return Object.entries(NAMESPACES)
    .map(([path, summary]): [string[], string] => [path.split(' '), summary])
    .filter(([path]) => isChild(path, words))
    .map(([path, summary]) => [path.at(-1) ?? '', summary]);
}

function childCommands(words: readonly string[]): CommandEntry[] {
  return COMMAND_NAMES.map((name): CommandEntry => COMMANDS[name]).filter((command) =>
    isChild(command.words, words),
  );
}

function isChild(path: readonly string[], parent: readonly string[]): boolean {
  return path.length === parent.length + 1 && parent.every((word, index) => path[index] === word);
}

function argumentUsage({ name, required }: ArgumentEntry): string {
  return required ? name : `[${name}]`;
}

function argumentText({ description, rule, required }: ArgumentEntry): string {
  const facts = [rule ?? '', required ? 'required' : ''].filter((fact) => fact !== '');
  return facts.length === 0 ? description : `${description} (${facts.join('; ')})`;
}

function optionUsage(option: OptionEntry): string {
  const value = TYPE_NAMES[option.type];
  return value === '' ? optionName(option) : `${optionName(option)}=${value}`;
}

/** What an option is for, and what it takes. */
export function optionText(option: OptionEntry): string {
  const facts = [
    valueRule(option),
    option.repeatable === true ? 'may be repeated' : '',
    option.default === undefined ? '' : `default ${option.default}`,
    option.required === true ? 'required' : '',
  ].filter((fact) => fact !== '');
  return facts.length === 0 ? option.description : `${option.description} (${facts.join('; ')})`;
}

function section(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? '' : `\n${title}\n${lines.join('')}`;
}

function entry(name: string, description: string): string {
  const margin = ' '.repeat(DESCRIPTION_COLUMN);
  const text = wrapped(description, WIDTH - DESCRIPTION_COLUMN).join(`\n${margin}`);
  return name.length < DESCRIPTION_COLUMN - 1
    ? `${name.padEnd(DESCRIPTION_COLUMN)}${text}\n`
    : `${name}\n${margin}${text}\n`;
}

function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
