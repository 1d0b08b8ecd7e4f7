/** The program entropyd: command line in, exit code out. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import manifest from '../../package.json' with { type: 'json' };
import { SystemClock } from '../base/clock.ts';
import { EntropyError, EXIT, messageOf } from '../base/errors.ts';
import { readStartSettings } from '../contract/start-settings.ts';
import { Daemon, type Installation } from './daemon.ts';
import { createLog } from './logging.ts';
import { guardMemoryBy } from '../hardware/guard-memory.ts';
import type { Hardware } from '../hardware/hardware.ts';
import { openHardware } from '../hardware/open-hardware.ts';
import { runInstall } from './install-command.ts';
import { type DaemonOptions, type Invocation, parseCommandLine } from './options.ts';
import { wrappingsToRecover } from './open-archive.ts';
import { parseZeroize, ZEROIZE_HELP, zeroizeOffline, zeroizeText } from './zeroize-command.ts';
import { parseRecover, recover, RECOVER_HELP } from './recover-command.ts';

/** How long a start may still take after it was told to stop. */
const START_PATIENCE_MS = 5_000;

await main();

async function main(): Promise<void> {
  try {
    const uid = process.getuid?.() ?? -1;
    const [word, ...rest] = process.argv.slice(2);
    if (word === 'recover') {
      await runRecover(rest, uid);
      return;
    }
    if (word === 'zeroize') {
      await runZeroize(rest, uid);
      return;
    }
    const invocation = parsedBy(process.argv.slice(2), uid);
    switch (invocation.kind) {
      case 'help':
        process.stdout.write(invocation.text);
        break;
      case 'version':
        process.stdout.write(`entropyd ${installation().version}\n`);
        break;
      case 'install':
        guardMemoryBy(installation().root);
        process.stdout.write(await runInstall(invocation.command, installation().root));
        break;
      case 'run':
        await run(invocation.options, uid);
    }
  } catch (error) {
    fail(error);
  }
}

function parsedBy(argv: readonly string[], uid: number): Invocation {
  return parseCommandLine(argv, process.env, uid, (file) => readStartSettings(file, uid));
}

function hardwareOf({ root }: { readonly root: string }): Hardware {
  return openHardware({ addonPath: path.join(root, 'build', 'native', 'addon.node') });
}

async function runRecover(argv: readonly string[], uid: number): Promise<void> {
  const { command, rest } = parseRecover(argv);
  const invocation = parsedBy(rest, uid);
  if (invocation.kind !== 'run') return void process.stdout.write(RECOVER_HELP);
  const { stateDirectory, encryption } = invocation.options;
  const hardware = hardwareOf(installation());
  const { id, mode } = await recover(stateDirectory, command, {
    hardware,
    wrappings: (random, files) =>
      wrappingsToRecover({ ...encryption, stateDirectory }, random, files, installation().root),
  });
  process.stdout.write(
    `Recovered ${stateDirectory}: mode ${mode}, recovery key ${id}.\n` +
      'Restart the host, then `entropyctl system settings encryption recovery rotate`.\n',
  );
}

async function runZeroize(argv: readonly string[], uid: number): Promise<void> {
  const { host, rest } = parseZeroize(argv);
  const invocation = parsedBy(rest, uid);
  if (invocation.kind !== 'run') return void process.stdout.write(ZEROIZE_HELP);
  const { stateDirectory, encryption } = invocation.options;
  const hardware = hardwareOf(installation());
  const report = await zeroizeOffline(
    host,
    { stateDirectory, encryption },
    { hardware, installation: installation() },
  );
  process.stdout.write(zeroizeText(report));
  if (!report.complete)
    throw new EntropyError('zeroize-incomplete', `not all of ${stateDirectory} is destroyed`);
}

async function run(options: DaemonOptions, uid: number): Promise<void> {
  const log = createLog({ format: options.logFormat, level: options.logLevel });
  process.on('uncaughtException', (error) => {
    log.error('broken invariant', { because: messageOf(error), stack: error.stack ?? '' });
    process.exit(EXIT.internal);
  });
  const starting = Daemon.start(options, {
    installation: installation(),
    environment: process.env,
    uid,
    log,
    onFatal: () => process.exit(EXIT.internal),
    onZeroized: () => process.exit(EXIT.zeroized),
  });
  let started = false;
  // A supervisor's SIGTERM and a terminal's Ctrl-C mean the same; Ctrl-C under npm arrives twice. Asked to stop while it
  // starts, it stops once it has.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      // A disk or device that does not answer can keep a start from ever ending.
      if (!started) new SystemClock().after(START_PATIENCE_MS, () => process.exit(EXIT.failed));
      // A start that failed is told by whoever waits for it.
      void starting
        .then((daemon) => daemon.stop())
        .then((clean) => process.exit(clean ? EXIT.ok : EXIT.failed), ignore);
    });
  }
  // As the system has it SIGHUP ends a program: where there is nothing to read again it does that, in order.
  process.on('SIGHUP', () => {
    if (options.tls === undefined) process.kill(process.pid, 'SIGTERM');
    else void starting.then((daemon) => daemon.reload(), ignore);
  });
  await starting;
  started = true;
  log.info(`look: ${lookCommand(options)}`);
}

function ignore(): void {
  // See above.
}

/** The command that shows what this daemon does, as it can be typed. */
function lookCommand(options: DaemonOptions): string {
  const program = path.relative('', path.join(installation().root, 'bin', 'entropyctl'));
  return `${quoted(program)} --runtime-dir ${quoted(path.resolve(options.runtimeDirectory))} mixer status`;
}

/** A word as a POSIX shell takes it. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** The bundle stands in out/, beside build/. */
function installation(): Installation {
  return { root: path.dirname(path.dirname(fileURLToPath(import.meta.url))), version: manifest.version };
}

function fail(error: unknown): void {
  if (error instanceof EntropyError) {
    process.stderr.write(`entropyd: ${error.code}: ${error.message}\n  ${error.entry.whatToDo}\n`);
    process.exit(error.entry.exit);
  }
  process.stderr.write(
    `entropyd: internal: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  process.exit(EXIT.internal);
}
