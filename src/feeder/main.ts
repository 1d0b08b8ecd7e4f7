/** The program entropy-feed: command line in, exit code out. */
import { randomFillSync } from 'node:crypto';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import manifest from '../../package.json' with { type: 'json' };
import { wipe } from '../base/bytes.ts';
import { SystemClock } from '../base/clock.ts';
import { EntropyError, ERRORS, EXIT, isEntropyError } from '../base/errors.ts';
import { SOURCE_BITS } from '../base/names.ts';
import type { RandomSource } from '../base/random.ts';
import { guardMemoryBy } from '../hardware/guard-memory.ts';
import type { Enrolment } from '../protocol/enrolment-file.ts';
import type { ByteInput, InputWarning } from './byte-input.ts';
import { DeviceInput } from './device-input.ts';
import { readEnrolment } from './enrolment.ts';
import { FeedClient } from './feed-client.ts';
import { type FeedTls, type FeedTlsOptions, openFeedTls } from './feed-tls.ts';
import { Feeder } from './feeder.ts';
import { FileInput } from './file-input.ts';
import { HostError } from './host-error.ts';
import { type FeedOptions, type KickstartOptions, parseCommandLine, type SourceOptions } from './options.ts';
import { Pkcs11Input } from './pkcs11-input.ts';
import { printable, Progress, type ProgressForm } from './progress.ts';
import { ReceiptsFile } from './receipts-file.ts';
import { writeSeedLine } from './seed-line.ts';
import { StreamInput } from './stream-input.ts';
import { verify } from './verify.ts';

const STDIN_DESCRIPTOR = 0;
const FALLBACK_COLUMNS = 80;

const clock = new SystemClock();
/** Nonces, ephemeral keys and jitter; entropy that is fed comes from the input alone. */
const random: RandomSource = (target) => void randomFillSync(target);

await main();

async function main(): Promise<void> {
  process.on('uncaughtException', (error) => exitWith(error));
  // A reader of the progress that goes away (`| head`) is no reason to stop feeding.
  process.stdout.on('error', () => undefined);
  try {
    const invocation = parseCommandLine(process.argv.slice(2));
    // The bundle stands in out/, beside build/; a feeder that is installed alone has no native part, and goes without.
    guardMemoryBy(path.dirname(path.dirname(fileURLToPath(import.meta.url))));
    switch (invocation.kind) {
      case 'help':
        process.stdout.write(invocation.text);
        break;
      case 'version':
        process.stdout.write(`entropy-feed ${manifest.version}\n`);
        break;
      case 'verify':
        process.stdout.write(verify(invocation.options));
        break;
      case 'kickstart':
        process.stdout.write(await kickstart(invocation.options));
        process.exit(EXIT.ok);
      case 'feed':
        await feed(invocation.options);
        // What still waits (a stream that never ends, the goodbye of a WebSocket) has nothing to say any more.
        process.exit(EXIT.ok);
    }
  } catch (error) {
    exitWith(error);
  }
}

async function feed(options: FeedOptions): Promise<void> {
  const enrolment = readEnrolment(options.enrolmentFile);
  const receipts = options.receiptsFile === undefined ? undefined : new ReceiptsFile(options.receiptsFile);
  const progress = new Progress(
    { form: progressForm(options), columns: process.stdout.columns || FALLBACK_COLUMNS },
    {
      clock,
      stdout: (text) => process.stdout.write(text),
      stderr: (text) => process.stderr.write(text),
    },
  );
  if (receipts !== undefined && receipts.tornBytes > 0)
    progress.warn(`${receipts.tornBytes} bytes of a torn receipt were cut off the end of the receipts file`);
  const feeder = feederOf(options, enrolment, progress, receipts);
  stopOnSignal(feeder);
  try {
    const end = await feeder.run();
    progress.end(end);
  } catch (error) {
    progress.end(undefined);
    throw error;
  } finally {
    wipe(enrolment.key);
    receipts?.close();
  }
}

/** Writes an install seed; gives what there is to say of it. */
async function kickstart({ source, ...options }: KickstartOptions): Promise<string> {
  const input = inputOf(source, (text) => process.stderr.write(`entropy-feed: ${printable(text)}\n`));
  let isStopping = false;
  stopOnSignal({
    stop: () => {
      isStopping = true;
      void input.close();
    },
  });
  const progress = seedProgress(options.bytes);
  const fingerprint = await writeSeedLine(options, { input, progress, isStopping: () => isStopping });
  const unused = (options.sources & SOURCE_BITS.external) === 0;
  const { file, bytes, sources } = options;
  return [
    `wrote ${printable(file)}: a seed of ${bytes} bytes from ${printable(input.description)}, fingerprint ${fingerprint}`,
    ...(unused
      ? [`note: the mask ${sources} lacks bit 8, so the host will keep the seed and not use it`]
      : []),
    'Put the line into the kickstart of one host, and delete this file: it holds the seed.',
    '',
  ].join('\n');
}

/** On a terminal: how far it is, on one line that goes when it is done. */
function seedProgress(totalBytes: number): (bytes: number) => void {
  return (bytes) => {
    if (!process.stderr.isTTY) return;
    const percent = Math.floor((100 * bytes) / totalBytes);
    process.stderr.write(
      bytes < totalBytes ? `\r${bytes} of ${totalBytes} bytes (${percent} %)` : '\r\u001b[K',
    );
  };
}

function feederOf(
  options: FeedOptions,
  enrolment: Enrolment,
  progress: Progress,
  receipts: ReceiptsFile | undefined,
): Feeder {
  const { url = enrolment.url, feeder = enrolment.feeder, totalBytes, bytesPerSecond } = options;
  const tls = tlsFor(url, options.tls);
  const client = new FeedClient(
    { ...enrolment, url, feeder, tls },
    { clock, random, observe: progress.observe, keepReceipt: (record) => receipts?.append(record) },
  );
  return new Feeder(
    {
      chunkBytes: options.chunkBytes,
      once: options.once,
      ...(totalBytes === undefined ? {} : { totalBytes }),
      ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
    },
    { client, input: inputOf(options.source, progress.warn), clock, random, observe: progress.observe },
  );
}

/** A host that cannot be recognised as asked is not fed at all. */
function tlsFor(url: string, options: FeedTlsOptions | undefined): FeedTls | undefined {
  if (new URL(url).protocol === 'wss:') return openFeedTls(options ?? {}, clock.wallMs());
  if (options === undefined) return undefined;
  throw new EntropyError(
    'usage',
    `--ca, --pin, --tls-cert and --tls-key are for wss: URLs, and this one is ${url}`,
  );
}

function inputOf(source: SourceOptions, warn: InputWarning): ByteInput {
  switch (source.kind) {
    case 'file':
      return new FileInput({ path: source.path });
    case 'stdin':
      return new StreamInput(
        { description: 'stdin', descriptor: STDIN_DESCRIPTOR },
        { stream: () => process.stdin },
      );
    case 'device':
      return new DeviceInput({ path: source.path }, { clock, warn });
    case 'pkcs11': {
      const { module, token, pinFile } = source;
      return new Pkcs11Input(
        { module, token, ...(pinFile === undefined ? {} : { pinFile }), environment: process.env },
        { clock, random, warn },
      );
    }
  }
}

/** The first signal ends the feed in order, the second at once. */
function stopOnSignal(feeder: { stop: () => void }): void {
  let isStopping = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (isStopping) process.exit(EXIT.failed);
      isStopping = true;
      feeder.stop();
    });
  }
}

function progressForm({ progress }: FeedOptions): ProgressForm {
  if (progress === 'auto') return process.stdout.isTTY ? 'terminal' : 'json';
  return progress;
}

function exitWith(error: unknown): never {
  const isHost = error instanceof HostError;
  if (isEntropyError(error) && (isHost || error.code !== 'internal')) {
    process.stderr.write(
      `entropy-feed: ${error.code}: ${printable(error.message)}\n  ${error.entry.whatToDo}\n`,
    );
    process.exit(isHost ? error.exit : error.entry.exit);
  }
  const told = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`entropy-feed: internal: ${told}\n  ${ERRORS.internal.whatToDo}\n`);
  process.exit(EXIT.internal);
}
