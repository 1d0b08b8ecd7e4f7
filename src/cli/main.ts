import path from 'node:path';
import { wipe } from '../base/bytes.ts';
import { EntropyError, errnoOf, EXIT, isEntropyError, messageOf } from '../base/errors.ts';
import { readAuthorities } from '../base/tls-files.ts';
import { COMMANDS } from '../contract/commands.ts';
import { runtimeDirectory } from '../contract/directories.ts';
import { SHAPES } from '../contract/shapes.ts';
import { readStartSettings } from '../contract/start-settings.ts';
import { answerOf } from './actions.ts';
import { parseCommandLine, type Invocation } from './command-line.ts';
import { ControlClient } from './control-client.ts';
import { csvHeader, csvRows } from './formatters/csv.ts';
import { FORMATTER_BY_NAME } from './formatters/formatters.ts';
import { formatJsonLines } from './formatters/json.ts';
import { formatKeyvalue } from './formatters/keyvalue.ts';
import { printable, type FlatRow } from './formatters/output.ts';
import { commandHelp } from './help.ts';
import { readSecretLine } from './key-files.ts';
import { serverPlace, socketPlace, type DaemonPlace } from './daemon-place.ts';
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

/** The listener that --server names, or the control socket. */
function placeOf(invocation: Invocation, io: Io): DaemonPlace {
  const { server, tokenFile, authoritiesFile, runtimeDirectory: told } = invocation;
  if (server === undefined) {
    if (tokenFile !== undefined || authoritiesFile !== undefined)
      throw new EntropyError('usage', '--token-file and --ca belong to --server');
    return socketPlace(directoryOf(invocation, io));
  }
  if (told !== undefined) throw new EntropyError('usage', '--server and --runtime-dir name two daemons');
  const { workingDirectory } = io;
  const authorities =
    authoritiesFile === undefined
      ? undefined
      : readAuthorities(path.resolve(workingDirectory, authoritiesFile));
  if (tokenFile === undefined) return serverPlace({ url: server, token: undefined, authorities });
  const token = readSecretLine({ workingDirectory, name: tokenFile }, MAXIMUM_TOKEN_BYTES);
  try {
    return serverPlace({ url: server, token, authorities });
  } finally {
    wipe(token);
  }
}

/** Where the daemon's socket is: as told, as the daemon's own file has it, or by default. */
function directoryOf({ command, runtimeDirectory: told }: Invocation, io: Io): string {
  const asked = COMMANDS[command].route !== null;
  const configured = told ?? (asked ? configuredDirectory(io) : undefined);
  return configured ?? runtimeDirectory(io.environment, io.uid);
}

/** More than any token has. */
const MAXIMUM_TOKEN_BYTES = 256;

/** A file that this user may not read tells nothing; one that others could have written must not choose the daemon. */
function configuredDirectory({ configurationFile, uid }: Io): string | undefined {
  try {
    return readStartSettings(configurationFile, uid)?.['runtime-dir'];
  } catch (error) {
    if (error instanceof EntropyError && errnoOf(error.cause) === 'EACCES') return undefined;
    throw error;
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
