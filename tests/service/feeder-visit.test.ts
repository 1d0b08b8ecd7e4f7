import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Counters } from '../../src/base/counters.ts';
import { EventBus } from '../../src/base/events.ts';
import { SeenPayloads } from '../../src/cache/seen-payloads.ts';
import { SequenceMarks } from '../../src/cache/sequence-marks.ts';
import { privateKeyFrom } from '../../src/protocol/raw-keys.ts';
import { parseReceipt } from '../../src/protocol/receipt.ts';
import { FeederVisit } from '../../src/service/feeder-visit.ts';
import { ReceiptStore } from '../../src/service/receipt-store.ts';
import type { FeederRecord } from '../../src/state/feeder-record.ts';
import { SimulatedFiles } from '../durable/simulated-files.ts';
import { FakeClock, settle } from '../fakes/fake-clock.ts';
import { seededSource } from '../fakes/seeded-stream.ts';
import { FakeFeedPort } from './feed-fakes.ts';

/** A visit over the real sequence marks and seen payloads, on a simulated disk that restarts do not forget. */

const random = seededSource('visit');
const DIGEST = Buffer.alloc(32, 1);
const RECORD: FeederRecord = {
  ...{ id: 5, door: 2, name: 'hsm', class: 'noise', rateUnits: 512, certificate: '' },
  ...{ maximumBytesPerSecond: undefined, weight: 1, state: 'enabled', createdMs: 0 },
};

async function start(files: SimulatedFiles): Promise<{
  readonly visit: FeederVisit;
  readonly port: FakeFeedPort;
  readonly stop: () => Promise<void>;
}> {
  const clock = new FakeClock();
  const counters = new Counters();
  const events = new EventBus({ capacity: 10 }, { clock, counters });
  const marks = await SequenceMarks.open({ files, random, clock, events });
  const seen = await SeenPayloads.open({}, { files, key: Buffer.alloc(32, 3), events });
  const port = new FakeFeedPort();
  const receiptKey = privateKeyFrom('ed25519', Buffer.alloc(32, 4));
  const receipts = new ReceiptStore({ capacity: 100 });
  const figures = { acceptedBytes: 0, creditedUnits: 0, frames: 0, refusedFrames: 0 };
  const visit = new FeederVisit(
    { record: RECORD, host: Buffer.alloc(16, 5), figures },
    { port, marks, seen, receipts, receiptKey, clock, events, counters },
  );
  visit.begin(Buffer.alloc(16, 6));
  const stop = async (): Promise<void> => {
    await visit.end();
    await marks.close();
    await seen.close();
  };
  return { visit, port, stop };
}

async function turnsUntil(holds: () => boolean): Promise<void> {
  while (!holds()) await settle();
}

function payload(fill: number): Uint8Array {
  return new Uint8Array(64).fill(fill);
}

test('after an orderly restart sequences go on exactly, and a payload of before is known', async () => {
  const files = new SimulatedFiles();
  const first = await start(files);
  assert.is(first.visit.nextSequence, 1);
  for (const sequence of [1, 2])
    await first.visit.data({ sequence, payload: payload(sequence), digest: DIGEST });
  await first.visit.control(3);
  await first.stop();
  const second = await start(files);
  assert.is(second.visit.nextSequence, 4);
  const again = await second.visit.data({ sequence: 4, payload: payload(2), digest: DIGEST });
  assert.equal([parseReceipt(again.receipt).verdict, again.taken], ['duplicate', undefined]);
  const other = await second.visit.data({ sequence: 5, payload: payload(9), digest: DIGEST });
  const { verdict, creditUnits, position } = parseReceipt(other.receipt);
  assert.equal([verdict, creditUnits, position], ['accepted', 64 * 512, 2]);
  await second.stop();
});

test('receipts are signed in the order of the frames, whichever is done first', async () => {
  const { visit, port, stop } = await start(new SimulatedFiles());
  port.hold = true;
  const signed: number[] = [];
  const frames = [1, 2].map((sequence) =>
    visit.data({ sequence, payload: payload(sequence + 30), digest: DIGEST }).then(({ receipt }) => {
      signed.push(parseReceipt(receipt).sequence);
    }),
  );
  await turnsUntil(() => port.heldFrames === 2);
  port.letGoLast();
  await settle();
  assert.equal(signed, []);
  port.letGo();
  await Promise.all(frames);
  assert.equal(signed, [1, 2]);
  await stop();
});

test('a frame that fails in the engine fails alone; those behind it are receipted in order', async () => {
  const { visit, port, stop } = await start(new SimulatedFiles());
  port.hold = true;
  const frames = [1, 2, 3].map((sequence) =>
    visit.data({ sequence, payload: payload(sequence + 20), digest: DIGEST }).then(
      ({ receipt }) => `${parseReceipt(receipt).sequence} at ${parseReceipt(receipt).position}`,
      (error: unknown) => String(error),
    ),
  );
  await turnsUntil(() => port.heldFrames === 3);
  port.letGo(1);
  await frames[0];
  port.failure = new Error('lost');
  port.letGo(1);
  await frames[1];
  port.failure = undefined;
  port.letGo();
  assert.equal(await Promise.all(frames), ['1 at 1', 'Error: lost', '3 at 2']);
  await stop();
});

test.run();
