import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { GRANT_DEFAULTS, GrantLedger, type GrantTerms } from '../../src/service/grants.ts';
import { RateLimit } from '../../src/service/rate-limit.ts';
import { count } from '../counts.ts';

const TERMS: GrantTerms = {
  weight: 1,
  isCached: true,
  isEnabled: true,
  bytesPerSecond: 1e9,
  framesPerSecond: 20_000,
};

function ledger(roomBytes: number): GrantLedger {
  const made = new GrantLedger(GRANT_DEFAULTS);
  made.setRoom(roomBytes);
  return made;
}

test('a feeder gets its share, with one left for whoever comes next; a frame for each 2 KiB and 16 more', () => {
  const grants = ledger(1_000_000);
  grants.join(1, TERMS, 0);
  assert.equal(grants.offer(1, 0), { totalBytes: 500_000, totalFrames: 244 + 16, lapseMs: 10_000 });
  grants.join(2, { ...TERMS, weight: 2 }, 0);
  assert.is(grants.offer(2, 0)!.totalBytes, 500_000);
  assert.is(grants.outstandingBytes, 1_000_000);
  grants.join(3, TERMS, 0);
  assert.is(grants.offer(3, 0), undefined);
  grants.leave(1);
  assert.is(grants.offer(3, 0)!.totalBytes, 250_000);
});

test('a grant is raised when half of it is used, never lowered while it runs', () => {
  const grants = ledger(1_000_000);
  grants.join(1, TERMS, 0);
  assert.is(grants.offer(1, 0)!.totalBytes, 500_000);
  const send = (bytes: number): void => {
    assert.is(grants.spend(1, bytes, 0), 'spent');
    grants.settle(bytes);
  };
  for (let sent = 0; sent < 200_000; sent += 50_000) send(50_000);
  send(49_999);
  assert.is(grants.offer(1, 0), undefined);
  send(1);
  assert.is(grants.offer(1, 0)!.totalBytes, 750_000);
});

test('an idle feeder gets its grant again before it lapses; when room fell it waits until frames under way have come', () => {
  const grants = ledger(1_000_000);
  grants.join(1, TERMS, 0);
  const first = grants.offer(1, 0)!;
  assert.is(grants.offer(1, 6_999), undefined);
  assert.is(grants.offer(1, 7_000)!.totalBytes, first.totalBytes);
  grants.setRoom(100_000);
  assert.is(grants.offer(1, 17_000), undefined);
  assert.not(grants.hasOutstanding(1, 17_000));
  assert.is(grants.offer(1, 18_999), undefined);
  assert.is(grants.offer(1, 19_000)!.totalBytes, 50_000);
});

test('frames run out before bytes: small frames get more of them, and no more bytes', () => {
  const grants = ledger(1_000_000);
  grants.join(1, TERMS, 0);
  const { totalFrames, totalBytes } = grants.offer(1, 0)!;
  let raised;
  for (let frame = 0; frame < totalFrames && raised === undefined; frame++) {
    assert.is(grants.spend(1, 32, 0), 'spent');
    grants.settle(32);
    raised = grants.offer(1, 0);
  }
  assert.ok((raised?.totalFrames ?? 0) > totalFrames);
  assert.ok((raised?.totalBytes ?? Infinity) - totalBytes <= 32 * totalFrames);
});

test('nothing below 4 KiB is granted, nothing without bit 8, and worthless bytes take no room', () => {
  const grants = ledger(4_095);
  grants.join(1, TERMS, 0);
  assert.is(grants.offer(1, 0), undefined);
  grants.setRoom(4_096);
  assert.is(grants.offer(1, 0)!.totalBytes, 4_096);
  grants.join(2, { ...TERMS, isEnabled: false }, 0);
  assert.is(grants.offer(2, 0), undefined);
  grants.join(3, { ...TERMS, isCached: false }, 0);
  assert.is(grants.offer(3, 0)!.totalBytes, 256 * 1024);
  assert.is(grants.outstandingBytes, 4_096);
});

test('scarce room goes round: every feeder gets some in turn', () => {
  const grants = ledger(0);
  for (let id = 1; id <= 5; id++) grants.join(id, TERMS, 0);
  const served = new Set<number>();
  for (let round = 0; round < 5; round++) {
    grants.setRoom(4_096);
    for (const [id] of grants.offerAll(0)) {
      served.add(id);
      grants.spend(id, 4_096, 0);
      grants.settle(4_096);
    }
  }
  assert.is(served.size, 5);
});

test('whatever feeders do, what may come and what is under way never exceed the room; who keeps to grants is never refused', () => {
  const step = fc.record({
    act: fc.constantFrom('join', 'leave', 'send', 'settle', 'draw', 'wait'),
    id: fc.integer({ min: 1, max: 4 }),
    part: fc.double({ min: 0, max: 1, noNaN: true }),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 120 }), (steps) => {
      let nowMs = 0;
      let roomBytes = 300_000;
      const grants = ledger(roomBytes);
      const told = new Map<number, { bytes: number; frames: number; untilMs: number }>();
      const used = new Map<number, { bytes: number; frames: number }>();
      const flying: number[] = [];
      const offer = (): void => {
        for (const [id, grant] of grants.offerAll(nowMs)) {
          const before = told.get(id);
          if (before !== undefined && nowMs < before.untilMs) assert.ok(grant.totalBytes >= before.bytes);
          told.set(id, {
            bytes: grant.totalBytes,
            frames: grant.totalFrames,
            untilMs: nowMs + grant.lapseMs,
          });
        }
        assert.ok(grants.outstandingBytes + grants.inFlightBytes <= roomBytes);
      };
      for (const { act, id, part } of steps) {
        if (act === 'join') {
          grants.join(id, { ...TERMS, weight: 1 + (id % 3), bytesPerSecond: 50_000 * id }, nowMs);
          told.delete(id);
          used.set(id, { bytes: 0, frames: 0 });
        } else if (act === 'leave') {
          grants.leave(id);
          told.delete(id);
        } else if (act === 'send') {
          const grant = told.get(id);
          const mine = used.get(id);
          if (
            grant === undefined ||
            mine === undefined ||
            nowMs >= grant.untilMs ||
            mine.frames >= grant.frames
          )
            continue;
          const bytes = Math.min(65_536, Math.floor((grant.bytes - mine.bytes) * part));
          if (bytes < 32) continue;
          assert.is(grants.spend(id, bytes, nowMs), 'spent');
          mine.bytes += bytes;
          mine.frames++;
          flying.push(bytes);
        } else if (act === 'settle') {
          const bytes = flying.shift();
          if (bytes === undefined) continue;
          roomBytes -= bytes;
          grants.settle(bytes);
          grants.setRoom(roomBytes);
        } else if (act === 'draw') {
          roomBytes += Math.floor(part * 50_000);
          grants.setRoom(roomBytes);
        } else {
          nowMs += part * 8_000;
        }
        offer();
      }
    }),
    { numRuns: count(300, 10_000) },
  );
});

test('a token bucket gives its burst, then so much a second, to the token', () => {
  const limit = new RateLimit({ perSecond: 10, burst: 20 }, 1_000);
  assert.not(limit.take(21, 1_000));
  assert.ok(limit.take(20, 1_000));
  assert.not(limit.take(1, 1_099));
  assert.ok(limit.take(1, 1_100));
  assert.ok(limit.take(20, 60_000));
  assert.not(limit.take(1, 60_000));
  assert.not(limit.take(1, 0));
});

test('a feeder that pauses holds no grant and leaves its share; its rate goes on from where it was', () => {
  const grants = new GrantLedger(GRANT_DEFAULTS);
  grants.setRoom(1_000_000);
  grants.join(1, { ...TERMS, bytesPerSecond: 100_000 }, 0);
  grants.join(2, TERMS, 0);
  const alone = grants.offer(1, 0)!.totalBytes;
  assert.is(grants.spend(1, 50_000, 0), 'spent');
  grants.settle(50_000);
  grants.pause(1);
  assert.is(grants.outstandingBytes, 0);
  assert.not(grants.hasOutstanding(1, 0));
  assert.is(grants.offer(1, 0), undefined);
  assert.is(grants.spend(1, 32, 0), 'grant-exceeded');
  assert.is(grants.offer(2, 0)!.totalBytes, 500_000, 'half of it, as if it were alone');
  grants.resume(1);
  const resumed = grants.offer(1, 0)!.totalBytes - 50_000;
  assert.ok(resumed < alone && resumed <= 50_000, `${resumed}: what its second still allows`);
});

test.run();
