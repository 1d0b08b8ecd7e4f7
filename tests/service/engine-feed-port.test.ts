import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isAllZero } from '../../src/base/bytes.ts';
import { EntropyError } from '../../src/base/errors.ts';
import type { EngineClient } from '../../src/engine/engine-client.ts';
import type { ReceivedFrame } from '../../src/engine/engine-messages.ts';
import { EngineFeedPort } from '../../src/service/engine-feed-port.ts';
import { rejectsWith } from '../rejects.ts';

const TAKEN = { verdict: 'accepted', memoryBytes: 32, storedBytes: 0, suspend: false, roomBytes: 1 } as const;

/** A port with two buffers over an engine that answers when told, and gives back what it was given, wiped. */
function newPort() {
  const frames: ReceivedFrame[] = [];
  const answers: { answer: () => void; refuse: (error: Error) => void }[] = [];
  const engine = {
    call: (_name: string, frame: ReceivedFrame) => {
      frames.push(frame);
      return new Promise((resolve, reject) => {
        const answer = () => {
          frame.payload.fill(0);
          resolve({ taken: TAKEN, buffer: frame.payload.buffer });
        };
        answers.push({ answer, refuse: reject });
      });
    },
  } as unknown as Pick<EngineClient, 'call'>;
  return { port: new EngineFeedPort({ buffers: 2 }, { engine }), frames, answers };
}

function frameIn(buffer: ArrayBuffer): ReceivedFrame {
  const payload = new Uint8Array(buffer, 0, 32).fill(7);
  return { feeder: 1, door: 0, rateUnits: 8192, payload };
}

test('no more frames are under way than there are buffers; the next waits for one to come back', async () => {
  const { port, answers } = newPort();
  const first = port.receive(frameIn(await port.acquire()));
  void port.receive(frameIn(await port.acquire()));
  let waited = false;
  const third = port.acquire().then((buffer) => {
    waited = true;
    return buffer;
  });
  await Promise.resolve();
  assert.is(waited, false);
  answers[0]?.answer();
  assert.equal(await first, TAKEN);
  assert.ok(isAllZero(new Uint8Array(await third)), 'what comes back is empty');
});

test('a buffer that is released unused is wiped', async () => {
  const { port } = newPort();
  const buffer = await port.acquire();
  frameIn(buffer);
  port.release(buffer);
  assert.ok(isAllZero(new Uint8Array(buffer)));
});

test('an engine that refuses costs no buffer: another takes its place, and the payload is wiped', async () => {
  const { port, answers, frames } = newPort();
  const work = port.receive(frameIn(await port.acquire()));
  answers[0]?.refuse(new EntropyError('engine-stopped', 'gone'));
  await rejectsWith(work, 'engine-stopped');
  assert.ok(isAllZero(frames[0]!.payload));
  await port.acquire();
  await port.acquire();
});

test.run();
