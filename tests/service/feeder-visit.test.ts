import type { DurableFiles } from '../../src/durable/durable-files.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Counters } from '../../src/base/counters.ts';
import { EventBus } from '../../src/base/events.ts';
import { SeenPayloads } from '../../src/cache/seen-payloads.ts';
import { SequenceMarks } from '../../src/cache/sequence-marks.ts';
import { privateKeyFrom } from '../../src/protocol/raw-keys.ts';
import { parseReceipt } from '../../src/protocol/receipt.ts';
import { FeederNews } from '../../src/service/feeder-news.ts';
import { FeederVisit } from '../../src/service/feeder-visit.ts';
import { ReceiptStore } from '../../src/service/receipt-store.ts';
import type { FeederRecord } from '../../src/state/feeder-record.ts';
import { exploreCrashes } from '../durable/crash-simulator.ts';
import { SimulatedFiles } from '../durable/simulated-files.ts';
import { FakeClock, settle } from '../fakes/fake-clock.ts';
import { seededSource } from '../fakes/seeded-stream.ts';
import { FakeFeedPort } from './feed-fakes.ts';

/** A visit over the real sequence marks and seen payloads, on a simulated disk that restarts do not forget. */

const random = seededSource('visit');
const ignored = (): void => undefined;
const DIGEST = Buffer.alloc(32, 1);
const RECORD: FeederRecord = {
  ...{ id: 5, door: 2, name: 'hsm', class: 'noise', rateUnits: 512, certificate: '' },
  ...{ maximumBytesPerSecond: undefined, weight: 1, state: 'enabled', createdMs: 0 },
};

async function start(files: DurableFiles): Promise<{
  readonly visit: FeederVisit;
  readonly port: FakeFeedPort;
  readonly stop: () => Promise<void>;
}> {
  const clock = new FakeClock();
  const counters = new Counters();
  const events = new EventBus({ capacity: 10 }, { clock, counters });
  const news = new FeederNews({ events, clock });
  const marks = await SequenceMarks.open({ files, random, clock, events });
  const seen = await SeenPayloads.open({}, { files, key: Buffer.alloc(32, 3), events });
  const port = new FakeFeedPort();
  const receiptKey = privateKeyFrom('ed25519', Buffer.alloc(32, 4));
  const receipts = new ReceiptStore({ capacity: 100 });
  const figures = { acceptedBytes: 0, creditedUnits: 0, frames: 0, refusedFrames: 0, duplicatesInRow: 0 };
  const visit = new FeederVisit(
    { record: RECORD, host: Buffer.alloc(16, 5), figures },
    { port, marks, seen, receipts, receiptKey, clock, news, counters },
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
    await first.visit.data({ sequence, payload: payload(sequence), digest: DIGEST }, ignored);
  await first.visit.control(3);
  await first.stop();
  const second = await start(files);
  assert.is(second.visit.nextSequence, 4);
  const again = await second.visit.data({ sequence: 4, payload: payload(2), digest: DIGEST }, ignored);
  assert.equal([parseReceipt(again.receipt).verdict, again.suspend], ['duplicate', undefined]);
  const other = await second.visit.data({ sequence: 5, payload: payload(9), digest: DIGEST }, ignored);
  const { verdict, creditUnits, position } = parseReceipt(other.receipt);
  assert.equal([verdict, creditUnits, position], ['accepted', 64 * 512, 2]);
  await second.stop();
});

test('receipts are signed in the order of the frames, whichever is done first', async () => {
  const { visit, port, stop } = await start(new SimulatedFiles());
  port.hold = true;
  const signed: number[] = [];
  const frames = [1, 2].map((sequence) =>
    visit.data({ sequence, payload: payload(sequence + 30), digest: DIGEST }, ignored).then(({ receipt }) => {
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

test('after the first failure nothing is taken in, and the chain of receipts ends before the gap', async () => {
  const { visit, port, stop } = await start(new SimulatedFiles());
  port.hold = true;
  const rooms: (number | undefined)[] = [];
  const send = (sequence: number): Promise<string> => {
    const sent = visit.data({ sequence, payload: payload(sequence + 20), digest: DIGEST }, (roomBytes) =>
      rooms.push(roomBytes),
    );
    return sent.then(
      ({ receipt }) => `${parseReceipt(receipt).sequence} at ${parseReceipt(receipt).position}`,
      (error: unknown) => String(error),
    );
  };
  const frames = [1, 2, 3].map(send);
  await turnsUntil(() => port.heldFrames === 3);
  // The second fails while the first is still under way; the third was with the engine already.
  port.failure = new Error('lost');
  port.letGo(2);
  await turnsUntil(() => rooms.length === 2);
  port.failure = undefined;
  const late = payload(90);
  const behind = visit.data({ sequence: 4, payload: late, digest: DIGEST }, ignored).catch(String);
  port.letGo();
  assert.equal(await Promise.all(frames), ['Error: lost', 'Error: lost', 'Error: lost']);
  assert.is(await behind, 'Error: lost');
  assert.is(port.frames.length, 3);
  assert.ok(late.every((byte) => byte === 0));
  assert.is(await visit.control(5).catch(String), 'Error: lost');
  assert.is(await visit.end(), undefined);
  await stop();
});

test('frames before the one that failed are receipted, and the signed end covers them alone', async () => {
  const { visit, port, stop } = await start(new SimulatedFiles());
  port.hold = true;
  const send = (sequence: number): Promise<string> =>
    visit
      .data({ sequence, payload: payload(sequence + 20), digest: DIGEST }, ignored)
      .then(({ receipt }) => `${parseReceipt(receipt).sequence}`, String);
  const frames = [1, 2, 3].map(send);
  await turnsUntil(() => port.heldFrames === 3);
  port.letGo(1);
  assert.is(await frames[0], '1');
  port.failure = new Error('lost');
  port.letGo(1);
  await frames[1];
  port.failure = undefined;
  port.letGo();
  assert.equal(await Promise.all(frames), ['1', 'Error: lost', 'Error: lost']);
  const { kind, sequence, position, memoryBytes } = parseReceipt((await visit.end())!);
  assert.equal([kind, sequence, position, memoryBytes], ['end', 1, 2, 64]);
  await stop();
});

test('the room is told as soon as the engine answers, not when the receipt is signed', async () => {
  const { visit, port, stop } = await start(new SimulatedFiles());
  port.hold = true;
  const rooms: (number | undefined)[] = [];
  for (const sequence of [1, 2])
    void visit.data({ sequence, payload: payload(sequence + 40), digest: DIGEST }, (roomBytes) =>
      rooms.push(roomBytes),
    );
  await turnsUntil(() => port.heldFrames === 2);
  port.letGoLast();
  await settle();
  assert.equal(rooms, [1024 * 1024 - 64]);
  port.letGo();
  await stop();
  assert.equal(rooms, [1024 * 1024 - 64, 1024 * 1024 - 128]);
});

test('64 payloads in a row that had come before suspend the feeder; one that had not begins anew', async () => {
  const { visit, stop } = await start(new SimulatedFiles());
  let sequence = 0;
  const send = async (fill: number): Promise<string | undefined> => {
    const frame = { sequence: ++sequence, payload: payload(fill), digest: DIGEST };
    return (await visit.data(frame, ignored)).suspend;
  };
  assert.is(await send(1), undefined);
  for (let n = 0; n < 63; n++) assert.is(await send(1), undefined);
  assert.is(await send(2), undefined);
  for (let n = 0; n < 63; n++) assert.is(await send(1), undefined);
  assert.match((await send(1)) ?? '', /^64 payloads in a row had come before/);
  await stop();
});

test('what a receipt calls stored is known after any crash: it is never new again', async () => {
  const { disks } = await exploreCrashes({
    run: async (files, mark) => {
      const { visit, port } = await start(files);
      port.answer = () => ({ memoryBytes: 0, storedBytes: 64 });
      for (const sequence of [1, 2]) {
        await visit.data({ sequence, payload: payload(sequence), digest: DIGEST }, ignored);
        mark(String(sequence));
      }
    },
    check: async (files, { completed }) => {
      const clock = new FakeClock();
      const events = new EventBus({ capacity: 10 }, { clock, counters: new Counters() });
      const seen = await SeenPayloads.open({}, { files, key: Buffer.alloc(32, 3), events });
      for (const sequence of [1, 2])
        if (completed.has(String(sequence)))
          assert.ok(seen.sawBefore(payload(sequence)), `frame ${sequence}`);
    },
  });
  assert.ok(disks > 10);
});

test.run();
