import { EntropyError } from '../base/errors.ts';

/**
 * The records of the sequence marks' journal, integers big-endian:
 *
 *   mark      1 u8 ‖ feeder u32 ‖ sequence u64: none up to here is accepted again; of feeder 0, of every feeder
 *   closed    2 u8: the process that wrote so far ended in order, and its marks are exact
 */
const MARK = 1;
export const MARK_BYTES = 13;
/** No feeder has this number: its mark holds for all. */
export const EVERY_FEEDER = 0;
export const CLOSED: Buffer = Buffer.of(2);

export interface Marks {
  /** By feeder, the highest sequence that may have been accepted. */
  readonly accepted: ReadonlyMap<number, number>;
  /** False when the last process that wrote did not end in order. */
  readonly closed: boolean;
}

export function encodeMark(feeder: number, sequence: number): Buffer {
  const record = Buffer.alloc(MARK_BYTES);
  record.writeUInt8(MARK);
  record.writeUInt32BE(feeder, 1);
  record.writeBigUInt64BE(BigInt(sequence), 5);
  return record;
}

/** Throws `state-damaged` for a record of another layout. */
export function decodeMarks(records: readonly Buffer[]): Marks {
  const accepted = new Map<number, number>();
  for (const record of records) {
    if (record.equals(CLOSED)) continue;
    const [feeder, sequence] = decodeMark(record);
    accepted.set(feeder, Math.max(sequence, accepted.get(feeder) ?? 0));
  }
  return { accepted, closed: records.at(-1)?.equals(CLOSED) === true };
}

function decodeMark(record: Buffer): [feeder: number, sequence: number] {
  if (record.length !== MARK_BYTES || record[0] !== MARK)
    throw new EntropyError('state-damaged', 'a sequence mark is not of its layout');
  const sequence = Number(record.readBigUInt64BE(5));
  if (!Number.isSafeInteger(sequence)) throw new EntropyError('state-damaged', 'a sequence mark is too high');
  return [record.readUInt32BE(1), sequence];
}
