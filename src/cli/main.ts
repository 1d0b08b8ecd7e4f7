import { EntropyError, EXIT, isEntropyError, messageOf } from '../base/errors.ts';
import { SHAPES } from '../contract/shapes.ts';
import { answerOf } from './actions.ts';
import { placeOf } from './chosen-place.ts';
import { parseCommandLine, type Invocation } from './command-line.ts';
import { ControlClient } from './control-client.ts';
import { csvHeader, csvRows } from './formatters/csv.ts';
import { FORMATTER_BY_NAME } from './formatters/formatters.ts';
import { formatJsonLines } from './formatters/json.ts';
import { formatKeyvalue } from './formatters/keyvalue.ts';
import { printable, type FlatRow } from './formatters/output.ts';
import { commandHelp } from './help.ts';
import type { Io } from './io.ts';
import { eventRow } from './rows.ts';

/**
 * The control command. Answers go to stdout, everything else to stderr; resolves with the exit code and never
 * rejects for what a user, a host or a daemon can do.
 */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  const line = parseCommandLine(argv, io.program);
  switch (line.kind) {
    case 'version':
      io.stdout(`${io.program} ${io.version}\n`);
      return EXIT.ok;
    case 'help':
      io.stdout(line.text);
      return line.asked ? EXIT.ok : EXIT.usage;
    case 'refused':
      io.stderr(`Error: ${printable(line.message)}\n\n${line.usage}`);
      return EXIT.usage;
    case 'run':
      return runCommand(line.invocation, io);
  }
}

async function runCommand(invocation: Invocation, io: Io): Promise<number> {
  try {
    const client = new ControlClient({ place: placeOf(invocation, io) }, { clock: io.clock });
    if (invocation.options.get('follow') === true) return await follow(invocation, client, io);
    const { output, text, note, exit } = await answerOf(invocation, {
      client,
      clock: io.clock,
      workingDirectory: io.workingDirectory,
      isTerminal: io.isTerminal,
    });
    if (output !== null) {
      const own = invocation.formatter === 'simple' ? text : undefined;
      io.stdout(own ?? FORMATTER_BY_NAME[invocation.formatter](output));
    }
    if (note !== undefined) io.stderr(`Note: ${printable(note)}\n`);
    return exit;
  } catch (error) {
    return report(error, invocation, io);
  }
}

/** Events without an end: one line or block each, in every format but XML, which knows no open end. */
async function follow(invocation: Invocation, client: ControlClient, io: Io): Promise<number> {
  const { formatter, options } = invocation;
  if (formatter === 'xml') throw new EntropyError('usage', '--follow has no end and XML needs one');
  const { followEvents } = await import('./event-follower.ts');
  if (formatter === 'csv') io.stdout(csvHeader(SHAPES.events));
  const { place } = client;
  const after = Number(options.get('after') ?? 0);
  await followEvents({ place, after, interrupted: io.interruption() }, (event) => {
    io.stdout(FOLLOWED[formatter](eventRow(event)));
  });
  return EXIT.ok;
}

const FOLLOWED = {
  simple: (row: FlatRow) => {
    const cells = [row.time, String(row.severity).padEnd('warning'.length), row.id, row.detail];
    return `${printable(cells.join('  ')).trimEnd()}\n`;
  },
  csv: (row: FlatRow) => csvRows({ shape: SHAPES.events, rows: [row] }),
  keyvalue: (row: FlatRow) => `${formatKeyvalue({ shape: SHAPES.events, rows: [row] })}\n`,
  json: (row: FlatRow) => formatJsonLines({ shape: SHAPES.events, rows: [row] }),
} as const;

/** One sentence with the code and what to do, or with the usage; a broken invariant is told with its message. */
function report(error: unknown, { command }: Invocation, io: Io): number {
  if (isEntropyError(error, 'usage')) {
    io.stderr(`Error: ${printable(asSentence(error.message))}\n\n${commandHelp(command, io.program)}`);
    return EXIT.usage;
  }
  const told = isEntropyError(error) ? error : new EntropyError('internal', messageOf(error));
  io.stderr(`Error: ${printable(asSentence(told.message))} (${told.code}). ${told.entry.whatToDo}\n`);
  return told.entry.exit;
}

/** With a capital, unless it begins with a name that has its own spelling (entropySources, /run/…). */
function asSentence(text: string): string {
  return /^[a-z]+\b/.test(text) && !/^[a-z]+[.-]/.test(text)
    ? text.charAt(0).toUpperCase() + text.slice(1)
    : text;
}
