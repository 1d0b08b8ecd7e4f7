import { EntropyError } from '../base/errors.ts';
import { ALGORITHM, CAPABILITY, DIGEST_BYTES, PROPERTY } from './codes.ts';
import type { CommandChannel } from './command-channel.ts';
import { noSha256, selectedPcrs } from './pcr.ts';
import { malformed, TpmReader, TpmWriter } from './wire.ts';

/** Who made the TPM, as it says itself. */
export interface TpmIdentity {
  /** Four characters or fewer, of the TCG's vendor registry: `IFX`, `NTC`, `IBM`. */
  readonly manufacturer: string;
  /** The vendor's own words, in which the model stands. */
  readonly model: string;
  /** Major.minor.build.revision of the firmware, as the vendor counts. */
  readonly firmware: string;
}

const MAXIMUM_PROPERTIES = 128;
const VENDOR_STRINGS = 4;
const FAMILY_2_0 = '2.0';

/** @throws EntropyError tpm-version for another family than 2.0 */
export async function identify(channel: CommandChannel): Promise<TpmIdentity> {
  const properties = await readProperties(PROPERTY.family, channel);
  const text = (first: number, words: number): string => {
    const bytes = new TpmWriter();
    for (let word = 0; word < words; word++) bytes.u32(properties.get(first + word) ?? 0);
    return printable(bytes.bytes());
  };
  const family = text(PROPERTY.family, 1);
  if (family !== FAMILY_2_0)
    throw new EntropyError('tpm-version', `the TPM is of family ${family || 'unknown'}`);
  const [high, low] = [PROPERTY.firmwareVersion, PROPERTY.firmwareVersion + 1].map(
    (property) => properties.get(property) ?? 0,
  ) as [number, number];
  return {
    manufacturer: text(PROPERTY.manufacturer, 1),
    model: text(PROPERTY.vendorString, VENDOR_STRINGS),
    firmware: [high >>> 16, high & 0xffff, low >>> 16, low & 0xffff].join('.'),
  };
}

/** @throws EntropyError tpm-no-sha256 when not all of these PCRs are in an active SHA-256 bank */
export async function requireSha256Bank(pcrs: readonly number[], channel: CommandChannel): Promise<void> {
  const parameters = await capability(CAPABILITY.pcrs, 0, 1, channel);
  const bank = selectedPcrs(parameters).get(ALGORITHM.sha256) ?? [];
  if (bank.length === 0 || pcrs.some((pcr) => !bank.includes(pcr))) throw noSha256();
}

/** Random bytes of the TPM's own generator, 1 to 32; on the bus they go in the clear. */
export async function randomOfTpm(bytes: number, channel: CommandChannel): Promise<Buffer> {
  if (!Number.isInteger(bytes) || bytes < 1 || bytes > DIGEST_BYTES)
    throw new RangeError(`a TPM is asked for 1 to ${DIGEST_BYTES} bytes`);
  const { parameters } = await channel.run('getRandom', { parameters: new TpmWriter().u16(bytes).bytes() });
  const random = Buffer.from(parameters.sized(bytes));
  if (random.length === 0) throw malformed('has no random bytes');
  return random;
}

async function readProperties(first: number, channel: CommandChannel): Promise<Map<number, number>> {
  const parameters = await capability(CAPABILITY.properties, first, MAXIMUM_PROPERTIES, channel);
  const properties = new Map<number, number>();
  for (let left = parameters.count(MAXIMUM_PROPERTIES); left > 0; left--)
    properties.set(parameters.u32(), parameters.u32());
  return properties;
}

async function capability(
  which: number,
  first: number,
  count: number,
  channel: CommandChannel,
): Promise<TpmReader> {
  const { parameters } = await channel.run('getCapability', {
    parameters: new TpmWriter().u32(which).u32(first).u32(count).bytes(),
  });
  parameters.u8(); // moreData
  if (parameters.u32() !== which) throw malformed('is of another capability');
  return parameters;
}

/** What is printable of a text that zeros or spaces fill up. */
function printable(bytes: Buffer): string {
  const text = bytes.toString('latin1').replaceAll('\0', '');
  return text.replace(/[^ -~]/g, '?').trim();
}
