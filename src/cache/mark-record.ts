import { EntropyError } from '../base/errors.ts';

/**
 * The records of the sequence marks' journal, integers big-endian:
 *
 *   mark      1 u8 ‖ feeder u32 ‖ sequence u64: none up to here is accepted again; of feeder 0, of every feeder
 *   closed    2 u8 ‖ generation u64: the process that wrote so far ended in order, and its marks are exact. The generation is that of the
 *             caches' key then; left out when it is 0
 */
const MARK = 1;
export const MARK_BYTES = 13;
/** No feeder has this number: its mark holds for all. */
export const EVERY_FEEDER = 0;
const CLOSED = 2;
const CLOSED_BYTES = 9;

export interface Marks {
  /** By feeder, the highest sequence that may have been accepted. */
  readonly accepted: ReadonlyMap<number, number>;
  /** The generation with which the last process that wrote ended in order; undefined when it did not. */
  readonly closedGeneration: number | undefined;
}

export function encodeMark(feeder: number, sequence: number): Buffer {
  const record = Buffer.alloc(MARK_BYTES);
  record.writeUInt8(MARK);
  record.writeUInt32BE(feeder, 1);
  record.writeBigUInt64BE(BigInt(sequence), 5);
  return record;
}

export function encodeClosed(generation: number): Buffer {
  if (generation === 0) return Buffer.of(CLOSED);
  const record = Buffer.alloc(CLOSED_BYTES);
  record.writeUInt8(CLOSED);
  record.writeBigUInt64BE(BigInt(generation), 1);
  return record;
}

/** Throws `state-damaged` for a record of another layout. */
export function decodeMarks(records: readonly Buffer[]): Marks {
  const accepted = new Map<number, number>();
  let closedGeneration: number | undefined;
  for (const record of records) {
    closedGeneration = closedGenerationOf(record);
    if (closedGeneration !== undefined) continue;
    const [feeder, sequence] = decodeMark(record);
    accepted.set(feeder, Math.max(sequence, accepted.get(feeder) ?? 0));
  }
  return { accepted, closedGeneration };
}

/** Undefined for another record. */
function closedGenerationOf(record: Buffer): number | undefined {
  if (record[0] !== CLOSED) return undefined;
  if (record.length === 1) return 0;
  return record.length === CLOSED_BYTES ? Number(record.readBigUInt64BE(1)) : undefined;
}

function decodeMark(record: Buffer): [feeder: number, sequence: number] {
  if (record.length !== MARK_BYTES || record[0] !== MARK)
    throw new EntropyError('state-damaged', 'a sequence mark is not of its layout');
  const sequence = Number(record.readBigUInt64BE(5));
  if (!Number.isSafeInteger(sequence)) throw new EntropyError('state-damaged', 'a sequence mark is too high');
  return [record.readUInt32BE(1), sequence];
}
