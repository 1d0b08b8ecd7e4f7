import { Writable } from 'node:stream';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { WebSocket } from 'ws';
import { cutTo, FeedSocket } from '../../src/api/feed-socket.ts';

test('a close reason is cut by bytes, never within a character', () => {
  assert.is(cutTo('a'.repeat(123), 123).length, 123);
  assert.is(cutTo('a'.repeat(124), 123).length, 123);
  assert.is(Buffer.byteLength(cutTo('\u00e9'.repeat(100), 123)), 122);
  assert.is(cutTo(`${'a'.repeat(120)}\u{1f511}`, 123), 'a'.repeat(120));
});

/** A stream that remembers how many messages each of its writes carried. */
function gatheringSocket() {
  const writes: number[] = [];
  const stream = new Writable({
    write: (_chunk, _encoding, done) => {
      writes.push(1);
      done();
    },
    writev: (chunks, done) => {
      writes.push(chunks.length);
      done();
    },
  });
  const webSocket = { send: (message: Buffer) => stream.write(message) } as unknown as WebSocket;
  // A socket is a Duplex; only its writing side is used here.
  const socket = new FeedSocket({ maximumUnsentBytes: 1000 }, { webSocket, stream: stream as never });
  return { socket, writes };
}

test('what is sent in one go leaves in one write, in its order, and no later than the go ends', async () => {
  const { socket, writes } = gatheringSocket();
  socket.send(Buffer.alloc(1));
  await Promise.resolve();
  socket.send(Buffer.alloc(1));
  socket.send(Buffer.alloc(1));
  assert.equal(writes, []);
  await new Promise((resolve) => process.nextTick(resolve));
  assert.equal(writes, [3]);
  socket.send(Buffer.alloc(1));
  await new Promise((resolve) => process.nextTick(resolve));
  assert.equal(writes, [3, 1]);
});

test.run();
