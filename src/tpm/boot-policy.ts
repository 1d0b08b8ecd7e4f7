import { createHash } from 'node:crypto';
import { COMMAND } from './codes.ts';
import { selfNamed, type CommandChannel } from './command-channel.ts';
import { TpmWriter } from './wire.ts';

/**
 * A policy that holds until a boot, and that the TPM itself ends: TPM2_PolicyCounterTimer (part 3, 23.10) on resetCount, which counts
 * TPM resets and never goes back but when the TPM is cleared, which takes the sealed object with it.
 *
 * The operands are compared with TPMS_TIME_INFO (part 2, 10.11.6), integers big-endian:
 *
 *    0  time          u64
 *    8  clock         u64
 *   16  resetCount    u32
 *   20  restartCount  u32
 *   24  safe          u8
 */
const RESET_COUNT_OFFSET = 16;
/** TPM_EO_UNSIGNED_LE (part 2, 6.7.3). */
const UNSIGNED_LE = 0x0009;

export const MAXIMUM_RESET_COUNT = 0xffff_ffff;

/** How often the TPM was reset: at each start of the host, and at no resume. @throws EntropyError tpm-protocol, tpm-refused */
export async function resetCount(channel: CommandChannel): Promise<number> {
  const { parameters } = await channel.run('readClock');
  parameters.u64();
  parameters.u64();
  const count = parameters.u32();
  parameters.u32();
  parameters.u8();
  parameters.end();
  return count;
}

/** Narrows a session to boots up to this reset count, included. @throws TpmRefusal POLICY when it is over */
export async function policyUntilReset(
  session: number,
  untilReset: number,
  channel: CommandChannel,
): Promise<void> {
  const { operand, offset, operation } = comparison(untilReset);
  await channel.run('policyCounterTimer', {
    handles: [selfNamed(session)],
    parameters: new TpmWriter().sized(operand).u16(offset).u16(operation).bytes(),
  });
}

/** What `policyUntilReset` makes of a policy's digest, computed here and not taken from the TPM. */
export function untilResetDigest(before: Uint8Array, untilReset: number): Buffer {
  const { operand, offset, operation } = comparison(untilReset);
  const args = createHash('sha256')
    .update(operand)
    .update(new TpmWriter().u16(offset).u16(operation).bytes())
    .digest();
  const code = new TpmWriter().u32(COMMAND.policyCounterTimer).bytes();
  return createHash('sha256').update(before).update(code).update(args).digest();
}

function comparison(untilReset: number): { operand: Buffer; offset: number; operation: number } {
  if (!Number.isInteger(untilReset) || untilReset < 0 || untilReset > MAXIMUM_RESET_COUNT)
    throw new RangeError('a reset count has 32 bits');
  return {
    operand: new TpmWriter().u32(untilReset).bytes(),
    offset: RESET_COUNT_OFFSET,
    operation: UNSIGNED_LE,
  };
}
