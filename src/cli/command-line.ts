import { Command, CommanderError, Option } from 'commander';
import type { ArgumentEntry, CommandEntry, OptionEntry } from '../contract/command-entry.ts';
import {
  COMMAND_NAMES,
  COMMANDS,
  FORMATTERS,
  NAMESPACES,
  PROGRAM_OPTIONS,
  type CommandName,
  type FormatterName,
} from '../contract/commands.ts';
import { commandHelp, namespaceHelp, optionName, valueRule } from './help.ts';
import type { ProgramName } from './io.ts';
import { optionValue } from './option-value.ts';
import { suggestion } from './suggestion.ts';

export interface Invocation {
  readonly program: ProgramName;
  readonly command: CommandName;
  readonly argument: string | undefined;
  readonly options: OptionValues;
  readonly formatter: FormatterName | 'simple';
  readonly runtimeDirectory: string | undefined;
  /** A URL, instead of the control socket. */
  readonly server: string | undefined;
  readonly tokenFile: string | undefined;
  readonly authoritiesFile: string | undefined;
}

/** Checked values by the options' long names, defaults included. */
export type OptionValues = ReadonlyMap<string, string | number | boolean>;

export type CommandLine =
  | { readonly kind: 'run'; readonly invocation: Invocation }
  /** Help that was asked for, or a namespace without a command. */
  | { readonly kind: 'help'; readonly text: string; readonly asked: boolean }
  | { readonly kind: 'version' }
  | { readonly kind: 'refused'; readonly message: string; readonly usage: string };

/** Reads a command line (without the program's name) by the table of commands. */
export function parseCommandLine(argv: readonly string[], program: ProgramName): CommandLine {
  const found: { invocation?: Invocation } = {};
  const root = buildTree((invocation) => (found.invocation = { ...invocation, program }));
  try {
    root.parse(argv, { from: 'user' });
  } catch (error) {
    return outcomeOf(error, program);
  }
  if (found.invocation !== undefined) return { kind: 'run', invocation: found.invocation };
  if (root.opts().version === true) return { kind: 'version' };
  return { kind: 'help', text: namespaceHelp([], program), asked: false };
}

/** Told of the command that was parsed. */
type Found = (invocation: Omit<Invocation, 'program'>) => void;

/** What made the parser stop: help was asked for, or the line is refused. `words` is where in the tree it was. */
class Stopped extends Error {
  readonly words: readonly string[];
  readonly outcome: 'help' | 'namespace-alone' | 'refused';

  constructor(words: readonly string[], outcome: Stopped['outcome'], message: string) {
    super(message);
    this.words = words;
    this.outcome = outcome;
  }
}

function outcomeOf(error: unknown, program: ProgramName): CommandLine {
  if (!(error instanceof Stopped)) throw error;
  const help = helpOf(error.words, program);
  if (error.outcome === 'refused') return { kind: 'refused', message: error.message, usage: help };
  return { kind: 'help', text: help, asked: error.outcome === 'help' };
}

function helpOf(words: readonly string[], program: ProgramName): string {
  const name = COMMAND_NAMES.find((each) => COMMANDS[each].words.join(' ') === words.join(' '));
  return name === undefined ? namespaceHelp(words, program) : commandHelp(name, program);
}

function buildTree(found: Found): Command {
  const root = branch([]);
  for (const option of PROGRAM_OPTIONS) root.addOption(parserOf(option, []));
  root.option('--version');
  // Only so that the root may stand alone, for --version; every word is a sub-command's.
  root.action(() => {
    if (root.args.length > 0) throw new Stopped([], 'refused', unknownWord([], root.args));
  });
  const branches = new Map([['', root]]);
  for (const path of Object.keys(NAMESPACES).sort()) {
    const node = branch(path.split(' '));
    branches.set(path, node);
    branches.get(parentOf(path))?.addCommand(node);
  }
  for (const name of COMMAND_NAMES) {
    branches.get(parentOf(COMMANDS[name].words.join(' ')))?.addCommand(leaf(name, root, found));
  }
  return root;
}

function parentOf(path: string): string {
  return path.split(' ').slice(0, -1).join(' ');
}

/** A node of the tree: silent, told apart by its words, and its errors are ours. */
function branch(words: readonly string[]): Command {
  const node = new Command(words.at(-1) ?? 'entropyctl');
  return node
    .helpOption('-?, --help')
    .helpCommand(false)
    .showSuggestionAfterError(false)
    .allowExcessArguments(words.length === 0)
    .configureOutput({ writeOut: () => undefined, writeErr: () => undefined })
    .exitOverride((error) => {
      throw stopped(words, error, node.args);
    });
}

function leaf(name: CommandName, root: Command, found: Found): Command {
  const command: CommandEntry = COMMANDS[name];
  const node = branch(command.words);
  if (command.argument !== undefined) node.argument(`[${command.argument.name}]`);
  for (const option of command.options) node.addOption(parserOf(option, command.words));
  return node.action(() => {
    const argument = node.args[0];
    requireAll(command, argument, node.opts());
    const { formatter, ...given } = root.opts();
    found({
      command: name,
      argument,
      options: valuesOf(command.options, node),
      formatter: FORMATTERS.find((each) => each === formatter) ?? 'simple',
      runtimeDirectory: textIn(given.runtimeDir),
      server: textIn(given.server),
      tokenFile: textIn(given.tokenFile),
      authoritiesFile: textIn(given.ca),
    });
  });
}

function textIn(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** One option for the parser; its value is checked as it is read, and a second one is refused. */
function parserOf(option: OptionEntry, words: readonly string[]): Option {
  const short = option.short === undefined ? '' : `-${option.short}, `;
  const value = option.type === 'flag' ? '' : ' <value>';
  const parser = new Option(`${short}--${option.long}${value}`);
  if (option.type === 'flag') return parser;
  return parser.argParser((text: string, previous: unknown) => {
    if (previous !== undefined && option.repeatable !== true) {
      throw new Stopped(words, 'refused', `Parameter ${optionName(option)} is given twice`);
    }
    const value = optionValue(option, text);
    if (value !== undefined) return typeof previous === 'string' ? `${previous},${value}` : value;
    const rule = valueRule(option);
    throw new Stopped(
      words,
      'refused',
      `Invalid value '${text}' for parameter ${optionName(option)}: ${rule}`,
    );
  });
}

function requireAll(
  { argument, options, words }: CommandEntry,
  given: string | undefined,
  values: Readonly<Record<string, unknown>>,
): void {
  if (argument !== undefined) requireArgument(argument, given, words);
  const missing = options.find(
    (option) => option.required === true && values[camelCase(option.long)] === undefined,
  );
  if (missing !== undefined) {
    throw new Stopped(words, 'refused', `Missing required parameter ${optionName(missing)}`);
  }
}

function requireArgument(
  { name, required, choices, pattern, rule = '' }: ArgumentEntry,
  given: string | undefined,
  words: readonly string[],
): void {
  if (given === undefined) {
    if (required) throw new Stopped(words, 'refused', `Missing required parameter ${name}`);
    return;
  }
  const chosen = choices?.includes(given) ?? true;
  const matches = pattern === undefined || new RegExp(pattern, 'u').test(given);
  if (chosen && matches) return;
  const allowed = choices === undefined ? rule : `one of ${choices.join(', ')}`;
  throw new Stopped(words, 'refused', `Invalid value '${given}' for parameter ${name}: ${allowed}`);
}

function valuesOf(options: readonly OptionEntry[], node: Command): OptionValues {
  const given: Readonly<Record<string, unknown>> = node.opts();
  const values = new Map<string, string | number | boolean>();
  for (const option of options) {
    const value = given[camelCase(option.long)] ?? option.default;
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
      values.set(option.long, value);
    }
  }
  return values;
}

/** How commander names the value of a long option. */
function camelCase(long: string): string {
  return long.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function stopped(words: readonly string[], error: CommanderError, given: readonly string[]): Stopped {
  switch (error.code) {
    case 'commander.helpDisplayed':
      return new Stopped(words, 'help', '');
    case 'commander.help':
      return new Stopped(words, 'namespace-alone', '');
    case 'commander.unknownCommand':
      return new Stopped(words, 'refused', unknownWord(words, given));
    case 'commander.unknownOption':
      return new Stopped(words, 'refused', unknownOption(words, quotedIn(error.message)));
    case 'commander.optionMissingArgument':
      return new Stopped(words, 'refused', `Parameter ${optionIn(error.message)} needs a value`);
    case 'commander.excessArguments':
      return new Stopped(words, 'refused', 'There are more words than the command takes');
    default:
      return new Stopped(words, 'refused', error.message.replace(/^error: /, ''));
  }
}

function unknownWord(words: readonly string[], given: readonly string[]): string {
  const siblings = [
    ...Object.keys(NAMESPACES),
    ...COMMAND_NAMES.map((name) => COMMANDS[name].words.join(' ')),
  ]
    .filter((path) => parentOf(path) === words.join(' '))
    .map((path) => path.split(' ').at(-1) ?? '');
  return `Unknown command or namespace ${[...words, ...given].join(' ')}${suggestion(given[0] ?? '', siblings)}`;
}

function unknownOption(words: readonly string[], flag: string): string {
  const command = COMMAND_NAMES.map((name): CommandEntry => COMMANDS[name]).find(
    (each) => each.words.join(' ') === words.join(' '),
  );
  const flags = [...PROGRAM_OPTIONS, ...(command?.options ?? [])].map(({ long }) => `--${long}`);
  return `Unknown option ${flag}${suggestion(flag.split('=')[0] ?? '', flags)}`;
}

/** Commander quotes the word it means; the last quote ends it, in case the word holds one. */
function quotedIn(message: string): string {
  return /'(.*)'/s.exec(message)?.[1] ?? '';
}

/** `-l, --limit <value>` in a message, as `-l|--limit`. */
function optionIn(message: string): string {
  return quotedIn(message)
    .replace(/ <value>$/, '')
    .replace(', ', '|');
}
