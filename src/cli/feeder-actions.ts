import { wipe } from '../base/bytes.ts';
import { ERRORS } from '../base/errors.ts';
import { BLOCK_BYTES, CREDIT_UNITS_PER_BIT, FULL_ENTROPY_INPUT_BITS } from '../base/units.ts';
import type { StatusReport } from '../contract/outputs.ts';
import { ROUTES } from '../contract/routes.ts';
import {
  numberOf,
  optionalNumberOf,
  optionalTextOf,
  succeeded,
  type Answer,
  type Surroundings,
} from './answer.ts';
import type { Invocation } from './command-line.ts';
import { durationText } from './durations.ts';
import { decimal } from './formatters/simple.ts';
import { readKey, writeSecretFile } from './key-files.ts';

/** Enrols a feeder, writes its enrolment file, and says how far its entropy will go. */
export async function enrollFeeder(invocation: Invocation, surroundings: Surroundings): Promise<Answer> {
  const name = invocation.argument ?? '';
  const keyFile = keyFileOf(invocation);
  const bitsPerByte =
    Math.floor(numberOf(invocation, 'bits-per-byte') * CREDIT_UNITS_PER_BIT) / CREDIT_UNITS_PER_BIT;
  const query = queryOf(invocation, bitsPerByte);
  // Asked first: once the feeder is enrolled, nothing may fail but the writing of its file.
  const report = await surroundings.client.call(ROUTES.status);
  await writeKeyFile(invocation, surroundings, (bytes) =>
    surroundings.client.callBytes(ROUTES.enrollFeeder, { params: { name }, query, ...bytes }),
  );
  const reach = reachOf(report, bitsPerByte);
  return {
    ...succeeded(invocation, {
      name,
      keyFile,
      bitsPerByte,
      drawBitsPerSecond: reach.drawBitsPerSecond,
      runwaySeconds: reach.runwaySeconds,
      neededBytesPerSecond: reach.neededBytesPerSecond,
    }),
    text: textOf([
      `Enrolled ${name}. Its key is in ${keyFile}: move that file to the feeder, and keep no copy.`,
      ...(report.external.enabled
        ? [reachText(reach)]
        : [
            `External entropy is disabled: the running mask is ${report.mask.running}. ${ERRORS['external-disabled'].whatToDo}`,
          ]),
    ]),
  };
}

/** Writes an enrolment file with a new key. */
export async function rotateFeeder(invocation: Invocation, surroundings: Surroundings): Promise<Answer> {
  const name = invocation.argument ?? '';
  const keyFile = keyFileOf(invocation);
  await writeKeyFile(invocation, surroundings, (bytes) =>
    surroundings.client.callBytes(ROUTES.rotateFeeder, { params: { name }, ...bytes }),
  );
  return {
    ...succeeded(invocation, { name, keyFile }),
    text: textOf([
      `The new key of ${name} is in ${keyFile}: move that file to the feeder, and keep no copy.`,
      'The old key holds until the new one is used.',
    ]),
  };
}

function queryOf(invocation: Invocation, bitsPerByte: number): Record<string, string | number> {
  const certificate = optionalTextOf(invocation, 'certificate');
  const maximumBytesPerSecond = optionalNumberOf(invocation, 'max-rate');
  const weight = optionalNumberOf(invocation, 'weight');
  return {
    class: optionalTextOf(invocation, 'class') ?? '',
    bitsPerByte,
    ...(certificate === undefined ? {} : { certificate }),
    ...(maximumBytesPerSecond === undefined ? {} : { maximumBytesPerSecond }),
    ...(weight === undefined ? {} : { weight }),
  };
}

function keyFileOf(invocation: Invocation): string {
  return optionalTextOf(invocation, 'key-file') ?? `${invocation.argument ?? ''}.enrolment`;
}

async function writeKeyFile(
  invocation: Invocation,
  { workingDirectory }: Surroundings,
  ask: (body: { readonly bytes?: Uint8Array }) => Promise<Uint8Array>,
): Promise<void> {
  const descriptor = optionalNumberOf(invocation, 'import-key');
  const imported = descriptor === undefined ? undefined : readKey(descriptor);
  try {
    await writeSecretFile({ workingDirectory, name: keyFileOf(invocation) }, () =>
      ask(imported === undefined ? {} : { bytes: imported }),
    );
  } finally {
    if (imported !== undefined) wipe(imported);
  }
}

/** How far the entropy of one feeder goes. */
interface Reach {
  /** Measured, or what the kernel feed is going to draw where nothing is drawn yet. */
  readonly drawBitsPerSecond: number;
  readonly isMeasured: boolean;
  /** How long both caches last when they are full of its bytes; null when these are worth nothing. */
  readonly runwaySeconds: number | null;
  /** What it must deliver so that the caches do not shrink. */
  readonly neededBytesPerSecond: number | null;
}

function reachOf({ external, kernel }: StatusReport, bitsPerByte: number): Reach {
  const isMeasured = external.drawBitsPerSecond > 0;
  const blocksPerSecond = kernel.bytesPerFeed / BLOCK_BYTES / kernel.intervalSeconds;
  const drawBitsPerSecond = isMeasured
    ? external.drawBitsPerSecond
    : blocksPerSecond * FULL_ENTROPY_INPUT_BITS;
  if (bitsPerByte === 0)
    return { drawBitsPerSecond, isMeasured, runwaySeconds: null, neededBytesPerSecond: null };
  const fullBits = (external.memorySizeBytes + external.storageSizeBytes) * bitsPerByte;
  return {
    drawBitsPerSecond,
    isMeasured,
    runwaySeconds: fullBits / drawBitsPerSecond,
    neededBytesPerSecond: Math.ceil(drawBitsPerSecond / bitsPerByte),
  };
}

function reachText({ drawBitsPerSecond, isMeasured, runwaySeconds, neededBytesPerSecond }: Reach): string {
  if (runwaySeconds === null || neededBytesPerSecond === null)
    return 'Its bytes are mixed and credited nothing: caches and gate cannot live on them.';
  const draw = `${decimal(drawBitsPerSecond)} credited bits/s`;
  const when = isMeasured
    ? `At the present draw of ${draw}`
    : `Nothing is drawn now; at the ${draw} of the kernel feed`;
  return `${when}, full caches of this feeder last ${durationText(runwaySeconds)}; it must deliver at least ${neededBytesPerSecond} bytes/s.`;
}

function textOf(lines: readonly string[]): string {
  return lines.map((line) => `   ${line}\n`).join('');
}
