import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { KIB } from '../../src/base/units.ts';
import { TurnBatch } from '../../src/engine/turn-batch.ts';
import { FakeClock, settle } from '../fakes/fake-clock.ts';

function batch() {
  const posts: { messages: readonly string[]; transfer: readonly ArrayBuffer[] }[] = [];
  const messages = new TurnBatch<string>({
    clock: new FakeClock(),
    post: (gathered, transfer) => posts.push({ messages: gathered, transfer }),
  });
  return { messages, posts };
}

test('messages of one turn leave as one, in their order, with all their buffers', async () => {
  const { messages, posts } = batch();
  const [first, second] = [new ArrayBuffer(1), new ArrayBuffer(2)];
  messages.add({ message: 'a', transfer: [first] });
  await Promise.resolve();
  messages.add({ message: 'b' });
  messages.add({ message: 'c', transfer: [second] });
  assert.is(posts.length, 0);
  await settle();
  assert.equal(posts, [{ messages: ['a', 'b', 'c'], transfer: [first, second] }]);
});

test('what comes in a later turn leaves by itself', async () => {
  const { messages, posts } = batch();
  messages.add({ message: 'a' });
  await settle();
  messages.add({ message: 'b' });
  await settle();
  assert.equal(
    posts.map((post) => post.messages),
    [['a'], ['b']],
  );
});

test('a flush posts at once, and nothing twice', async () => {
  const { messages, posts } = batch();
  messages.add({ message: 'a' });
  messages.flush();
  messages.flush();
  assert.is(posts.length, 1);
  await settle();
  assert.is(posts.length, 1);
});

test('256 KiB of work leave before the turn ends, and the rest of the turn after it', async () => {
  const { messages, posts } = batch();
  messages.add({ message: 'a', workBytes: 256 * KIB - 1 });
  assert.is(posts.length, 0);
  messages.add({ message: 'b', workBytes: 1 });
  messages.add({ message: 'c', workBytes: 256 * KIB - 1 });
  assert.equal(
    posts.map((post) => post.messages),
    [['a', 'b']],
  );
  await settle();
  assert.equal(
    posts.map((post) => post.messages),
    [['a', 'b'], ['c']],
  );
});

test.run();
