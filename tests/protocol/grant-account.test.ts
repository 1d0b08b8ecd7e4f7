import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { GrantAccount } from '../../src/protocol/grant-account.ts';
import { count } from '../counts.ts';

const GRANT = { totalBytes: 100, totalFrames: 2, lapseMs: 1000 };

function granted(graceMs = 0): GrantAccount {
  const account = new GrantAccount({ graceMs });
  account.replace(GRANT, 0);
  return account;
}

test('nothing may be sent before the first grant', () => {
  const account = new GrantAccount({ graceMs: 1_000_000 });
  assert.is(account.availableBytes(0), 0);
  assert.not.ok(account.use(32, 0));
});

test('bytes and frames are counted down to the last, and not beyond', () => {
  const account = granted();
  assert.not.ok(account.use(101, 0));
  assert.ok(account.use(60, 0));
  assert.equal([account.availableBytes(0), account.availableFrames(0)], [40, 1]);
  assert.not.ok(account.use(41, 0));
  assert.ok(account.use(40, 0));
  assert.equal([account.availableBytes(0), account.availableFrames(0)], [0, 0]);
  account.replace({ ...GRANT, totalBytes: 1000 }, 0);
  assert.is(account.availableBytes(0), 0, 'two frames were granted in sum');
});

test('a grant lapses at its time, for the host the grace later', () => {
  assert.is(granted().availableBytes(999), 100);
  assert.is(granted().availableBytes(1000), 0);
  assert.is(granted().availableFrames(1000), 0);
  assert.is(granted(5000).availableBytes(5999), 100);
  assert.is(granted(5000).availableBytes(6000), 0);
});

test('a total below what was used already allows nothing', () => {
  const account = granted();
  account.use(90, 0);
  account.replace({ totalBytes: 50, totalFrames: 9, lapseMs: 1000 }, 0);
  assert.is(account.availableBytes(0), 0);
});

test('a feeder within its grants never exceeds them at the host, however long frames and grants take', () => {
  const step = fc.oneof(
    fc.record({ act: fc.constant('send' as const), bytes: fc.integer({ min: 32, max: 500 }) }),
    fc.record({ act: fc.constant('grant' as const), bytes: fc.nat(2000) }),
    fc.record({ act: fc.constantFrom('frame arrives' as const, 'grant arrives' as const), bytes: fc.nat(0) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const [feeder, host] = [new GrantAccount({ graceMs: 0 }), new GrantAccount({ graceMs: 0 })];
      const [frames, grants]: [number[], number[]] = [[], []];
      let totalBytes = 0;
      for (const { act, bytes } of steps) {
        if (act === 'send' && feeder.use(bytes, 0)) frames.push(bytes);
        if (act === 'grant') {
          totalBytes = Math.max(totalBytes, host.usedBytes + bytes);
          host.replace({ totalBytes, totalFrames: 1000, lapseMs: 1 }, 0);
          grants.push(totalBytes);
        }
        if (act === 'frame arrives' && frames.length > 0 && !host.use(frames.shift()!, 0)) return false;
        if (act === 'grant arrives' && grants.length > 0)
          feeder.replace({ totalBytes: grants.shift()!, totalFrames: 1000, lapseMs: 1 }, 0);
      }
      return true;
    }),
    { numRuns: count(200, 5000) },
  );
});

test.run();
