import { randomFillSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EXIT } from '../../src/base/errors.ts';
import type { ExternalReport } from '../../src/contract/external.ts';
import { hasPython, pythonProgram, runPython } from '../protocol/python-program.ts';
import { testWhen } from '../requirements.ts';
import { withDaemon } from './daemon-process.ts';

/** A client in Python, written from docs/protocol.md alone, against the real daemon. */
const CLIENT = pythonProgram('feed_client.py');
/** Exit code of the client: bytes were sent that no receipt names. */
const LOST = 14;
const MASK_8 = ['--entropy-sources=8', '--feed-interval=3600'];

testWhen(hasPython)('authenticates, sends, and gets receipts that both sides verify', async () => {
  await withDaemon({ arguments: MASK_8 }, async (daemon) => {
    const key = daemon.enroll('lab-1', 'full-entropy', '8', '--certificate', 'E1 of a test');
    const receipts = path.join(daemon.directory, 'receipts');
    const entropy = randomFillSync(Buffer.alloc(100_000));
    const run = await runPython([CLIENT, key, receipts, '--frame-bytes', '4096'], entropy);
    assert.is(run.status, 0, run.stderr);
    const { memoryBytes, storedBytes } = (await daemon.request('GET', '/v1/external')).body as ExternalReport;
    assert.ok(memoryBytes + storedBytes >= 100_000 - 4 * 40, 'but for the first blocks all of it is cached');

    const verified = daemon.control('mixer', 'receipt', 'verify', receipts);
    assert.is(verified.code, EXIT.ok, verified.stderr);
    assert.match(verified.stdout, 'Payload Bytes: 100000');
    const altered = readFileSync(receipts);
    altered[100]! ^= 1;
    const more = randomFillSync(Buffer.alloc(5000));
    const second = await runPython([CLIENT, key, receipts], more);
    assert.is(second.status, 0, 'a second session goes on where the first ended: ' + second.stderr);
  });
});

testWhen(hasPython)('a wrong key is not authenticated, and the daemon tells of it', async () => {
  await withDaemon({ arguments: MASK_8 }, async (daemon) => {
    daemon.enroll('lab-1', 'full-entropy', '8', '--certificate', 'E1 of a test');
    const other = daemon.enroll('lab-2', 'full-entropy', '8', '--certificate', 'E1 of a test');
    assert.is(daemon.control('mixer', 'feeder', 'revoke', 'lab-2').code, EXIT.ok);
    const receipts = path.join(daemon.directory, 'receipts');
    const run = await runPython([CLIENT, other, receipts], Buffer.alloc(0));
    assert.is(run.status, 12, run.stderr);
    await daemon.says('feeder-unauthenticated');
  });
});

testWhen(hasPython)(
  'a daemon that restarts under it costs receipts of nothing that it does not name',
  async () => {
    const port = 20_000 + Math.floor(performance.now() % 10_000);
    const args = [...MASK_8, `--listen=127.0.0.1:${port}`];
    await withDaemon({ arguments: args }, async (daemon) => {
      const key = daemon.enroll('lab-1', 'full-entropy', '8', '--certificate', 'E1 of a test');
      const receipts = path.join(daemon.directory, 'receipts');
      const entropy = randomFillSync(Buffer.alloc(2_000_000));
      const client = runPython([CLIENT, key, receipts, '--frame-bytes', '512', '--attempts', '200'], entropy);
      await daemon.says('entropy.data.received');
      await pause(50);
      await daemon.stop();
      await withDaemon({ arguments: args, directory: daemon.directory }, async (next) => {
        const run = await client;
        assert.ok(run.status === 0 || run.status === LOST, run.stderr);
        const { payloadBytes, lostBytes } = JSON.parse(run.stdout.toString()) as Record<string, number>;
        assert.is(
          (payloadBytes ?? 0) + (lostBytes ?? 0),
          entropy.length,
          'each byte is receipted, or known as lost',
        );
        const verified = next.control('mixer', 'receipt', 'verify', receipts);
        assert.is(verified.code, EXIT.ok, verified.stderr);
        assert.match(verified.stdout, `Payload Bytes: ${payloadBytes}`);
        assert.match(verified.stdout, 'Sessions: 2');
      });
    });
  },
);

test.run();
