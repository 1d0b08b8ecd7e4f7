import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { hasKernelWriter, hasProgram, isRoot, testWhen } from '../requirements.ts';
import { DaemonProcess } from './daemon-process.ts';

/**
 * What the kernel saw, told by strace and not by us: RNDADDENTROPY with 64 bytes, then RNDRESEEDCRNG, at every interval for as long as
 * the daemon runs.
 */
testWhen(isRoot && hasKernelWriter && hasProgram('strace'))(
  'strace sees a feed and a reseed at every interval',
  async () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'strace-'));
    const trace = path.join(directory, 'trace');
    const daemon = new DaemonProcess({
      wrapper: ['strace', '-f', '-qq', '-e', 'trace=ioctl', '-e', 'signal=none', '-o', trace],
      arguments: ['--feed-interval=1', '--log-level=debug'],
    });
    await daemon.says('kernel.fed', 4);
    const { kernel } = await daemon.status();
    // strace hands no signal on to what it traces; the daemon's own pid is in its log.
    process.kill(Number(/pid=(\d+)/.exec(daemon.output)?.[1]), 'SIGTERM');
    await daemon.ended;

    const calls = readFileSync(trace, 'utf8')
      .split('\n')
      .filter((line) => /RNDADDENTROPY|RNDRESEEDCRNG/.test(line));
    const added = calls.filter((line) => line.includes('RNDADDENTROPY'));
    assert.ok(added.length >= kernel.feedsSinceStart, calls.join('\n'));
    assert.ok(added.every((line) => /entropy_count=0, buf_size=64|= 0$/.test(line)));
    const order = calls.map((line) => (line.includes('RNDADDENTROPY') ? 'add' : 'reseed'));
    assert.equal(
      order,
      added.flatMap(() => ['add', 'reseed']),
    );
    await daemon.discard();
    rmSync(directory, { recursive: true });
  },
);

test.run();
