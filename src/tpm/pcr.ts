import { createHash } from 'node:crypto';
import { EntropyError } from '../base/errors.ts';
import { ALGORITHM, COMMAND, DIGEST_BYTES } from './codes.ts';
import { EMPTY_PASSWORD, selfNamed, type CommandChannel } from './command-channel.ts';
import { malformed, TpmWriter, type TpmReader } from './wire.ts';

/** PCRs of a PC Client TPM: 0 to 23. */
export const PCR_COUNT = 24;
const SELECT_BYTES = 3;
const MAXIMUM_BANKS = 16;
/** TPML_DIGEST holds at most eight. */
const READ_AT_ONCE = 8;

/** Values of PCRs in the SHA-256 bank, by number. */
export type PcrValues = ReadonlyMap<number, Buffer>;

/** TPML_PCR_SELECTION of these PCRs in the SHA-256 bank. RangeError for a number that is no PCR. */
export function pcrSelection(pcrs: Iterable<number>): Buffer {
  const select = Buffer.alloc(SELECT_BYTES);
  for (const pcr of pcrs) {
    if (!Number.isInteger(pcr) || pcr < 0 || pcr >= PCR_COUNT) throw new RangeError(`${pcr} is no PCR`);
    select.writeUInt8(select.readUInt8(pcr >> 3) | (1 << (pcr & 7)), pcr >> 3);
  }
  return new TpmWriter().u32(1).u16(ALGORITHM.sha256).u8(SELECT_BYTES).raw(select).bytes();
}

/** What TPM2_PolicyPCR makes of these values (part 3, 23.7), computed here and not taken from the TPM. */
export function pcrPolicyDigest(values: PcrValues): Buffer {
  const pcrs = [...values.keys()].sort((a, b) => a - b);
  const code = new TpmWriter().u32(COMMAND.policyPcr).bytes();
  return createHash('sha256')
    .update(Buffer.alloc(DIGEST_BYTES))
    .update(code)
    .update(pcrSelection(pcrs))
    .update(valuesDigest(values))
    .digest();
}

/** The digest of the values, in the order of their numbers. */
export function valuesDigest(values: PcrValues): Buffer {
  const hash = createHash('sha256');
  for (const [, value] of [...values].sort(([a], [b]) => a - b)) hash.update(value);
  return hash.digest();
}

/** What extending a PCR makes of its value (part 1, 17.2). */
export function extended(value: Uint8Array, digest: Uint8Array): Buffer {
  return createHash('sha256').update(value).update(digest).digest();
}

/** @throws EntropyError tpm-no-sha256 where the bank does not hold them; TpmRefusal, tpm-protocol */
export async function readPcrs(pcrs: readonly number[], channel: CommandChannel): Promise<PcrValues> {
  const values = new Map<number, Buffer>();
  const wanted = [...new Set(pcrs)].sort((a, b) => a - b);
  while (values.size < wanted.length) {
    const asked = wanted.filter((pcr) => !values.has(pcr)).slice(0, READ_AT_ONCE);
    const { parameters } = await channel.run('pcrRead', { parameters: pcrSelection(asked) });
    parameters.u32(); // the update counter
    const given = selectedPcrs(parameters).get(ALGORITHM.sha256) ?? [];
    const count = parameters.count(READ_AT_ONCE);
    if (given.length === 0) throw noSha256();
    if (given.length !== count || given.some((pcr) => !asked.includes(pcr)))
      throw malformed('has other PCRs than it was asked for');
    for (const pcr of given) values.set(pcr, Buffer.from(parameters.raw(digestBytes(parameters))));
    parameters.end();
  }
  return values;
}

export async function extendPcr(pcr: number, digest: Uint8Array, channel: CommandChannel): Promise<void> {
  await channel.run('pcrExtend', {
    handles: [selfNamed(pcr)],
    authorization: EMPTY_PASSWORD,
    parameters: new TpmWriter().u32(1).u16(ALGORITHM.sha256).raw(digest).bytes(),
  });
}

/** Sets a PCR to zero; of the PC Client's only 16 and 23 allow it to whom we are. */
export async function resetPcr(pcr: number, channel: CommandChannel): Promise<void> {
  await channel.run('pcrReset', { handles: [selfNamed(pcr)], authorization: EMPTY_PASSWORD });
}

/** TPML_PCR_SELECTION: the PCRs of each bank, by its algorithm. */
export function selectedPcrs(reader: TpmReader): Map<number, number[]> {
  const banks = new Map<number, number[]>();
  for (let left = reader.count(MAXIMUM_BANKS); left > 0; left--) {
    const algorithm = reader.u16();
    const select = reader.raw(Math.min(reader.u8(), SELECT_BYTES + 1));
    const pcrs = [...Array(8 * select.length).keys()].filter(
      (pcr) => (select.readUInt8(pcr >> 3) & (1 << (pcr & 7))) !== 0,
    );
    banks.set(algorithm, [...(banks.get(algorithm) ?? []), ...pcrs]);
  }
  return banks;
}

export function noSha256(): EntropyError {
  return new EntropyError('tpm-no-sha256', 'the TPM has no active SHA-256 bank of PCRs');
}

function digestBytes(reader: TpmReader): number {
  const lengthBytes = reader.u16();
  if (lengthBytes !== DIGEST_BYTES) throw malformed('has a digest of a wrong length');
  return lengthBytes;
}
