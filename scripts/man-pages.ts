/** The manual pages as text: entropyctl's from the table of commands, the others from what --help prints. */
import packageJson from '../package.json' with { type: 'json' };
import type { CommandEntry, OptionEntry } from '../src/contract/command-entry.ts';
import { COMMAND_NAMES, COMMANDS, PROGRAM_OPTIONS } from '../src/contract/commands.ts';
import { EXIT_CODES } from '../src/contract/exit-codes.ts';
import { CONFIGURATION_FILE, START_SETTINGS } from '../src/contract/start-settings.ts';
import { optionName, optionText, TYPE_NAMES } from '../src/cli/help.ts';
import { helpText as entropydHelp } from '../src/daemon/help-text.ts';
import { helpText as feederHelp } from '../src/feeder/help.ts';

export interface ManPage {
  readonly name: string;
  readonly section: number;
  readonly text: string;
}

export function manPages(): ManPage[] {
  return [
    page('entropyctl', 8, 'control command of the entropy mixer', [
      ...entropyctlSections(),
      section('FILES', [
        tagged(CONFIGURATION_FILE, 'Its runtime-dir says where the control socket is.'),
        tagged(
          '<runtime-dir>/control.sock',
          'The control socket: the group may read, owner and root may change.',
        ),
      ]),
      exitStatus(),
      seeAlso('entropyd(8)', 'entropy-feed(1)'),
    ]),
    page('entropyd', 8, 'entropy daemon: mixes noise sources and feeds the kernel pool', [
      ...helpSections(entropydHelp()),
      section('FILES', [
        tagged(CONFIGURATION_FILE, 'One `name = value` a line, # for comments, writable by its owner alone:'),
        ...Object.entries(START_SETTINGS).map(([name, { takes, description }]) =>
          tagged(`${name} = ${takes}`, description),
        ),
      ]),
      exitStatus(),
      seeAlso('entropyctl(8)', 'entropy-feed(1)'),
    ]),
    page('entropy-feed', 1, 'feeds entropy to an entropyd', [
      ...helpSections(feederHelp()),
      seeAlso('entropyd(8)', 'entropyctl(8)'),
    ]),
  ];
}

function page(name: string, number: number, summary: string, sections: readonly string[]): ManPage {
  const title = `.TH ${name.toUpperCase()} ${number} "" "entropy-mixer ${packageJson.version}"\n`;
  const heading = section('NAME', [`${roff(name)} \\- ${roff(summary)}\n`]);
  return { name, section: number, text: [title, heading, ...sections].join('') };
}

function entropyctlSections(): string[] {
  const commands = COMMAND_NAMES.map((name): CommandEntry => COMMANDS[name]).sort((a, b) =>
    a.words.join(' ') < b.words.join(' ') ? -1 : 1,
  );
  return [
    section('SYNOPSIS', ['.B entropyctl\n[options] {namespace}+ {cmd} [cmd options]\n']),
    section('DESCRIPTION', [
      paragraph(
        "Asks and changes a running entropyd, in esxcli's grammar. Answers go to standard output, in the form that --formatter names; notes and errors go to standard error.",
      ),
    ]),
    section('OPTIONS', PROGRAM_OPTIONS.map(optionEntry)),
    section('COMMANDS', commands.map(commandText)),
  ];
}

function commandText({ words, summary, argument, options }: CommandEntry): string {
  const usage = argument === undefined ? '' : argument.required ? ` ${argument.name}` : ` [${argument.name}]`;
  const own = argument === undefined ? '' : tagged(argument.name, `${argument.description}.`);
  const inner = own + options.map(optionEntry).join('');
  const indented = inner === '' ? '' : `.RS\n${inner}.RE\n`;
  return `${tagged(`${words.join(' ')}${usage}`, `${summary}.`)}${indented}`;
}

function optionEntry(option: OptionEntry): string {
  const value = TYPE_NAMES[option.type];
  return tagged(`${optionName(option)}${value === '' ? '' : `=${value}`}`, `${optionText(option)}.`);
}

function exitStatus(): string {
  return section(
    'EXIT STATUS',
    EXIT_CODES.map(({ code, meaning }) => tagged(String(code), meaning)),
  );
}

function seeAlso(...pages: readonly string[]): string {
  return section('SEE ALSO', [paragraph(pages.join(', '))]);
}

/**
 * What --help prints, as sections: a line at the margin that ends in a colon begins one; two spaces begin an entry, which a gap parts from
 * its text; what is deeper goes on.
 */
function helpSections(help: string): string[] {
  const [usage = '', ...rest] = help.split(/\n(?=[A-Z][^\n]*:\n)/);
  const [synopsis = '', ...description] = usage.split('\n\n');
  const lines = synopsis
    .replace(/^Usage: /, '')
    .split('\n')
    .map((line) => `${roff(line.trim())}\n`);
  return [
    section('SYNOPSIS', [lines.join('.br\n')]),
    section(
      'DESCRIPTION',
      description.map((text) => paragraph(text.replaceAll('\n', ' '))),
    ),
    ...rest.map((text) => {
      const [title = '', ...body] = text.split('\n');
      return section(title.replace(/:$/, '').toUpperCase(), entriesOf(body));
    }),
  ];
}

function entriesOf(lines: readonly string[]): string[] {
  const entries: { tag: string; text: string[] }[] = [];
  for (const line of lines.filter((each) => each.trim() !== '')) {
    const [tag = '', ...text] = line.trim().split(/ {2,}/);
    if (/^ {2}\S/.test(line)) entries.push({ tag, text });
    else entries.at(-1)?.text.push(line.trim());
  }
  return entries.map(({ tag, text }) => tagged(tag, text.join(' ')));
}

function section(title: string, content: readonly string[]): string {
  return `.SH ${roff(title.includes(',') ? (title.split(',')[0] ?? '') : title)}\n${content.join('')}`;
}

function paragraph(text: string): string {
  return `.PP\n${roff(text)}\n`;
}

function tagged(tag: string, text: string): string {
  return text === '' ? `.TP\n.B ${roff(tag)}\n\\&\n` : `.TP\n.B ${roff(tag)}\n${roff(text)}\n`;
}

/** Text that roff prints as it is: no escapes, no requests, and hyphens that can be copied into a shell. */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('"', '\\(dq')
    .replaceAll('`', '\\(ga')
    .replace(/^[.']/, '\\&$&');
}
