import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { HEADER_BYTES } from '../../src/cache/storage-header.ts';
import { count } from '../counts.ts';
import { seededRandom } from '../durable/crash-simulator.ts';
import { SimulatedFiles } from '../durable/simulated-files.ts';
import {
  contentsOf,
  EventLog,
  filesWith,
  FULL_BYTES,
  KEY_ENCRYPTION_KEY,
  openStorage,
  ORIGIN,
  pageOffset,
  tagged,
  takeAll,
} from './storage-fixture.ts';

/** Four full segments, of which two share a page; a place of a page holds version, salt, two keys with void ids, and a tag. */
const TAGS_OF_PAGE = [
  [1, 2],
  [3, 4],
] as const;
const FOUR = { capacityBytes: 4 * FULL_BYTES };
const PLACE_CONTENT_BYTES = 8 + 32 + 2 * 40 + 16;

/** What of the file means something: the header, and both places of both pages. */
const STRETCHES = [
  { page: undefined, place: 0, offset: 0, lengthBytes: HEADER_BYTES },
  ...[0, 1].flatMap((page) =>
    [0, 1].map((place) => ({
      page,
      place,
      offset: pageOffset(page, place),
      lengthBytes: PLACE_CONTENT_BYTES,
    })),
  ),
] as const;

async function stored(): Promise<{ segments: Buffer; keys: Buffer }> {
  const files = new SimulatedFiles();
  const cache = await openStorage(files, FOUR);
  for (const tag of TAGS_OF_PAGE.flat()) await cache.append(tagged(tag, FULL_BYTES), ORIGIN);
  await cache.close();
  return contentsOf(files);
}

/** Flips 1 to 8 bits of the file; tells which stretches are not as they were. */
function flipped(sound: Buffer, next: () => number): { keys: Buffer; hit: (typeof STRETCHES)[number][] } {
  const keys = Buffer.from(sound);
  const bits = 1 + Math.floor(next() * 8);
  for (let bit = 0; bit < bits; bit++) {
    const stretch = STRETCHES[Math.floor(next() * STRETCHES.length)]!;
    const offset = stretch.offset + Math.floor(next() * stretch.lengthBytes);
    keys.writeUInt8(keys.readUInt8(offset) ^ (1 << Math.floor(next() * 8)), offset);
  }
  const isHit = ({ offset, lengthBytes }: (typeof STRETCHES)[number]): boolean =>
    !keys.subarray(offset, offset + lengthBytes).equals(sound.subarray(offset, offset + lengthBytes));
  return { keys, hit: STRETCHES.filter(isHit) };
}

/** What is left: with one place everything, without both places of a page nothing of its segments, without a header nothing. */
function expectedTags(hit: readonly (typeof STRETCHES)[number][]): number[] {
  if (hit.some(({ page }) => page === undefined)) return [];
  return TAGS_OF_PAGE.flatMap((tags, page) =>
    hit.filter((one) => one.page === page).length < 2 ? tags : [],
  );
}

test('any flipped bits of the key pages: the other place, or the loss of just their segments, told; never a wrong byte', async () => {
  const { segments, keys: sound } = await stored();
  const next = seededRandom(17);
  let newer = 0;
  for (let flip = 0; flip < count(500, 10_000); flip++) {
    const { keys, hit } = flipped(sound, next);
    const events = new EventLog();
    const earlier = Buffer.alloc(32, 'n');
    const options = flip % 2 === 0 ? {} : { keys: [earlier, KEY_ENCRYPTION_KEY] };
    const cache = await openStorage(await filesWith({ segments, keys }), { ...FOUR, events, ...options });
    if (cache.failure !== undefined) {
      // The version of the format is no secret: a higher one is left as it is, for a later program.
      assert.equal([cache.failure.code, cache.bytes], ['state-version-newer', 0]);
      newer++;
      continue;
    }
    const portions = await takeAll(cache);
    const tags = portions.map(({ bytes }) => {
      const tag = Buffer.from(bytes).readUInt16BE(0);
      assert.equal(Buffer.from(bytes), tagged(tag, bytes.length), `flip ${flip}: a wrong value`);
      return tag;
    });
    const expected = expectedTags(hit);
    assert.equal(tags, expected, `flip ${flip}`);
    assert.equal(events.ids, expected.length < 4 ? ['cache.damaged'] : [], `flip ${flip}`);
    await cache.close();
  }
  assert.ok(newer > 0, 'some flips raise the version');
});

test.run();
