import { isEntropyError } from '../base/errors.ts';
import { PAYLOAD_MAXIMUM_BYTES, PAYLOAD_MINIMUM_BYTES } from '../protocol/limits.ts';
import { parseReceipt, type Receipt } from '../protocol/receipt.ts';
import type { RequestSession } from './request-session.ts';

/** What became of bytes that were added. */
export interface PoolAddition {
  readonly takenBytes: number;
  /** For want of room or rate, or because they had come before. */
  readonly droppedBytes: number;
  /** Refused by the tests at the door. */
  readonly failedBytes: number;
}

/**
 * Puts data into frames of at most 64 KiB, as far as grants and rates go. What is left over, or is shorter than the smallest frame (32
 * bytes), is dropped.
 *
 * @throws EntropyError why the session ended before it was all dealt with; state-unwritable, engine-stopped
 */
export async function addFrames(
  session: RequestSession,
  data: Uint8Array,
  digestKey: Uint8Array,
): Promise<PoolAddition> {
  const sum = { takenBytes: 0, droppedBytes: 0, failedBytes: 0 };
  let rest = data;
  while (rest.length > 0) {
    const bytes = frameBytes(rest.length, session.admitted.sendable(PAYLOAD_MINIMUM_BYTES).grantedBytes);
    const receipt = bytes === 0 ? undefined : await send(session, rest.subarray(0, bytes), digestKey);
    if (receipt === undefined) break;
    const { verdict, payloadBytes, memoryBytes, storedBytes } = receipt;
    const takenBytes = verdict === 'uncredited' ? payloadBytes : memoryBytes + storedBytes;
    if (verdict === 'test-failed') sum.failedBytes += payloadBytes;
    else sum.droppedBytes += payloadBytes - takenBytes;
    sum.takenBytes += takenBytes;
    rest = rest.subarray(bytes);
  }
  sum.droppedBytes += rest.length;
  return sum;
}

/** Of the next frame; never so many that what is left is too short for one. 0 when nothing can be sent. */
function frameBytes(restBytes: number, grantedBytes: number): number {
  const bytes = Math.min(restBytes, grantedBytes, PAYLOAD_MAXIMUM_BYTES);
  const left = restBytes - bytes;
  const even = left > 0 && left < PAYLOAD_MINIMUM_BYTES ? restBytes - PAYLOAD_MINIMUM_BYTES : bytes;
  return even >= PAYLOAD_MINIMUM_BYTES ? Math.min(even, bytes) : 0;
}

/** Undefined when the frame may not come now. */
async function send(
  session: RequestSession,
  payload: Uint8Array,
  digestKey: Uint8Array,
): Promise<Receipt | undefined> {
  try {
    return parseReceipt(await session.data(payload, digestKey));
  } catch (error) {
    if (isEntropyError(error, 'feed-rate-exceeded', 'feed-grant-exceeded')) return undefined;
    throw error;
  }
}
