import { createHash } from 'node:crypto';
import { privateKeyFrom } from '../../src/protocol/raw-keys.ts';
import { ReceiptChain, type FrameOutcome } from '../../src/protocol/receipt-chain.ts';
import { NOW_MS } from '../api/fake-control-service.ts';
import { SAMPLE_RECEIPT_KEY } from '../api/sample-external.ts';

/** RFC 8032 7.1, test 1: the private key of SAMPLE_RECEIPT_KEY. */
const SEED = Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex');

/** Two sessions of a feeder: three frames and their end, then one frame without. Five records of 264 bytes, always the same; `number` makes other sessions. */
export function sampleReceipts(feeder = 'hsm-1', number = 0): Buffer {
  const first = chain(feeder, 0xa1, number);
  const records = [
    first.receipt(outcome(1)),
    first.receipt(outcome(2, { memoryBytes: 1_024, storedBytes: 3_072 })),
    first.receipt(outcome(3, { verdict: 'duplicate', memoryBytes: 0, creditUnits: 0 })),
    first.end(NOW_MS + 4_000) ?? Buffer.alloc(0),
    chain(feeder, 0xb2, number).receipt(outcome(4)),
  ];
  return Buffer.concat(records);
}

function chain(feeder: string, fill: number, number: number): ReceiptChain {
  const session = Buffer.alloc(16, fill);
  if (number > 0) session.writeUInt32BE(number);
  return new ReceiptChain(
    {
      host: Buffer.from(SAMPLE_RECEIPT_KEY.host, 'hex'),
      session,
      feeder,
      feederId: 1,
    },
    { privateKey: privateKeyFrom('ed25519', SEED) },
  );
}

/** 4,096 bytes at 1/32 bit each, 128 bits in all, taken to memory unless told otherwise. */
function outcome(sequence: number, change: Partial<FrameOutcome> = {}): FrameOutcome {
  return {
    sequence,
    frameDigest: createHash('sha256').update(String(sequence)).digest(),
    verdict: 'accepted',
    payloadBytes: 4_096,
    memoryBytes: 4_096,
    storedBytes: 0,
    creditUnits: 131_072,
    timeMs: NOW_MS + sequence * 1_000,
    ...change,
  };
}
