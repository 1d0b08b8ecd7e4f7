import { randomFillSync } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { KIB } from '../../src/base/units.ts';
import type { ExternalReport } from '../../src/contract/external.ts';
import { parseReceipt, RECEIPT_BYTES } from '../../src/protocol/receipt.ts';
import { count } from '../counts.ts';
import { DaemonProcess } from './daemon-process.ts';

/**
 * A smoke test of the caches with the real daemon and the real disk: it is killed while a feeder fills them, again and again. What was
 * receipted as stored must be there afterwards, but for the segments that may be open. The crash simulator does the thorough work
 * (tests/cache).
 */

const MEMORY_KIB = 64;
const WATERMARK_PERCENT = 20;
const SEGMENT_BYTES = 16 * KIB;
const OPEN_SEGMENTS = Math.ceil((MEMORY_KIB * KIB * WATERMARK_PERCENT) / 100 / SEGMENT_BYTES) + 1;
/** What is fed to the kernel when the gate opens: two blocks of full-entropy bytes. */
const FIRST_FEED_BYTES = 80;
const FEED_BYTES = 256 * KIB;

function storedBytesOf(receipts: string): number {
  if (!existsSync(receipts)) return 0;
  const bytes = readFileSync(receipts);
  let stored = 0;
  for (let at = 0; at + RECEIPT_BYTES <= bytes.length; at += RECEIPT_BYTES) {
    const receipt = parseReceipt(bytes.subarray(at, at + RECEIPT_BYTES));
    if (receipt.kind === 'frame') stored += receipt.storedBytes;
  }
  return stored;
}

test(`kill -9, ${count(20, 200)} times: no stored byte is lost but what may be open`, async () => {
  const daemonArguments = [
    '--entropy-sources=8',
    `--memory-cache-size=${MEMORY_KIB}`,
    '--storage-cache-size=65536',
    '--feed-interval=3600',
  ];
  let daemon = new DaemonProcess({ arguments: daemonArguments });
  const { directory } = daemon;
  const receipts = path.join(directory, 'receipts');
  const entropy = path.join(directory, 'entropy.bin');
  try {
    await daemon.ready();
    const key = daemon.enroll('trng', 'full-entropy', '8', '--certificate', 'E1 of a test');
    let leastBytes = 0;
    let receiptedBytes = 0;
    for (let kill = 0; kill < count(20, 200); kill++) {
      rmSync(receipts, { force: true });
      writeFileSync(entropy, randomFillSync(Buffer.alloc(FEED_BYTES)));
      // Each daemon chooses another port than the one in the enrolment file.
      const args = ['--url', daemon.feedUrl, '--once', '--receipts', receipts, 'file', entropy];
      const feeder = daemon.feed(key, args);
      // Anywhere from before the first frame to after the last.
      await Promise.race([feeder.ended, daemon.says('feeder.connected')]);
      await Promise.race([feeder.ended, pause((kill * 37) % 400)]);
      await daemon.stop('SIGKILL');
      await feeder.ended;
      const stored = storedBytesOf(receipts);
      receiptedBytes += stored;
      leastBytes += stored - OPEN_SEGMENTS * SEGMENT_BYTES - FIRST_FEED_BYTES;
      leastBytes = Math.max(0, leastBytes);

      daemon = new DaemonProcess({ arguments: daemonArguments, directory });
      await daemon.ready();
      const { memoryBytes, storedBytes } = (await daemon.request('GET', '/v1/external'))
        .body as ExternalReport;
      const kept = memoryBytes + storedBytes;
      assert.ok(kept >= leastBytes, `kill ${kill}: ${kept} bytes are there, ${leastBytes} must be`);
      assert.not.match(daemon.output, 'state.refused');
      // What is there now counts from here on: memory is what the next kill may take.
      leastBytes = storedBytes;
    }
    console.log(
      `# kill -9: ${count(20, 200)} times, ${receiptedBytes} bytes receipted as stored, ${leastBytes} stored at the end`,
    );
    assert.ok(receiptedBytes > 0, 'some kills came while frames were stored');
  } finally {
    await daemon.discard();
  }
});

test.run();
