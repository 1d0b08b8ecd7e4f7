import { randomFillSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EXIT } from '../../src/base/errors.ts';
import { count } from '../counts.ts';
import { type DaemonProcess, withDaemon } from './daemon-process.ts';

/** A reader that takes all it can, over REST and EGD at once, under mask 8. */

const SECONDS = count(4, 60);
const LIMIT_BITS_PER_SECOND = 2048;
const BURST_BITS = 32_768;

/** Asks for 64 KiB again and again; gives how many bytes came. */
async function readOverRest(daemon: DaemonProcess, untilMs: number): Promise<number> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  let bytes = 0;
  while (performance.now() < untilMs) {
    bytes += await new Promise<number>((resolve, reject) => {
      const socketPath = path.join(daemon.runtimeDirectory, 'control.sock');
      const request = http.get({ socketPath, path: '/v1/random?bytes=65536', agent }, (response) => {
        let length = 0;
        response.on('data', (chunk: Buffer) => (length += chunk.length));
        response.on('end', () => resolve(response.statusCode === 200 ? length : 0));
      });
      request.on('error', reject);
    });
  }
  agent.destroy();
  return bytes;
}

/** Reads 255 bytes at a time, without blocking; gives how many bytes came. */
async function readOverEgd(daemon: DaemonProcess, untilMs: number): Promise<number> {
  const socket = net.connect(path.join(daemon.runtimeDirectory, 'egd.sock'));
  let bytes = 0;
  let expected = -1;
  await new Promise<void>((resolve, reject) => {
    const ask = () => (performance.now() < untilMs ? socket.write(Uint8Array.of(1, 255)) : socket.end());
    socket.on('connect', ask);
    socket.on('data', (chunk: Buffer) => {
      let at = 0;
      while (at < chunk.length) {
        if (expected < 0) {
          expected = chunk[at++] ?? 0;
        } else {
          const taken = Math.min(expected, chunk.length - at);
          bytes += taken;
          expected -= taken;
          at += taken;
        }
        if (expected === 0) {
          expected = -1;
          ask();
        }
      }
    });
    socket.on('error', reject);
    socket.on('close', () => resolve());
  });
  return bytes;
}

test(`flat out for ${SECONDS} s it gets the budget and no more, and none of the reserve`, async () => {
  const args = [
    '--entropy-sources=8',
    '--memory-cache-size=64',
    '--storage-cache-size=256',
    '--feed-interval=3600',
    `--served-draw-limit=${LIMIT_BITS_PER_SECOND}`,
  ];
  await withDaemon({ arguments: args }, async (daemon) => {
    const key = daemon.enroll('trng', 'full-entropy', '8', '--certificate', 'E1 of a test');
    const file = path.join(daemon.directory, 'entropy.bin');
    writeFileSync(file, randomFillSync(Buffer.alloc(40 * 1024)));
    const fed = daemon.feed(key, ['--once', 'file', file]);
    assert.equal(await fed.ended, { code: EXIT.ok, signal: null }, fed.stderr);
    await daemon.says('gate.open');
    const before = await daemon.status();
    const startMs = performance.now();
    const untilMs = startMs + SECONDS * 1000;
    const [rest, egd] = await Promise.all([readOverRest(daemon, untilMs), readOverEgd(daemon, untilMs)]);
    const after = await daemon.status();
    const seconds = (performance.now() - startMs) / 1000;

    const spentBits = after.counters['served.externalBits'] ?? 0;
    const allowedBits = BURST_BITS + LIMIT_BITS_PER_SECOND * (seconds + 1);
    assert.ok(spentBits <= allowedBits, `${spentBits} of ${allowedBits} bits`);
    assert.ok(spentBits > BURST_BITS / 2, `the reader was served: ${spentBits} bits`);
    const fellBits = before.external.creditedBits - after.external.creditedBits;
    assert.is(
      fellBits,
      spentBits - (before.counters['served.externalBits'] ?? 0),
      'the caches lost what was booked',
    );
    const peakBits = 40 * 1024 * 8;
    assert.ok(after.external.creditedBits >= peakBits / 5, `${after.external.creditedBits} bits are left`);
    assert.ok(rest > 0 && egd > 0, `${rest} bytes over REST, ${egd} over EGD`);
    console.log(
      `# flat-out reader: ${rest + egd} bytes in ${seconds.toFixed(1)} s for ${spentBits} external bits`,
    );
    assert.is(after.gate.state, 'open', 'and the host has its own');
  });
});

test.run();
