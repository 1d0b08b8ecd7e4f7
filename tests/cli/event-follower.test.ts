import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EXIT } from '../../src/base/errors.ts';
import { closeBench, openBench, type ControlBench } from '../api/control-bench.ts';
import { NOW_MS } from '../api/fake-control-service.ts';
import { runCommand, type Outcome } from './cli-bench.ts';

/** Follows until as many lines were printed, then interrupts. */
async function follow(bench: ControlBench, lines: number, ...rest: string[]): Promise<Outcome> {
  const interrupt = new AbortController();
  let stdout = '';
  const outcome = await runCommand(
    ['mixer', 'events', '--follow', '--runtime-dir', bench.directory, ...rest],
    {
      interruption: () => interrupt.signal,
      stdout: (text) => {
        stdout += text;
        if (stdout.split('\n').length > lines) interrupt.abort();
      },
    },
  );
  return { ...outcome, stdout };
}

test('follows what is kept and what is new, in each format that has no end', async () => {
  const bench = await openBench();
  const emitted = follow(bench, 4);
  while (bench.service.subscribers < 1) await new Promise((resolve) => setImmediate(resolve));
  bench.service.emit({
    sequence: 4,
    id: 'gate.closed',
    severity: 'warning',
    atMs: NOW_MS,
    detail: { reason: 'a\nb' },
  });
  assert.equal(await emitted, {
    exit: 0,
    stderr: '',
    stdout: [
      '2026-01-02T03:04:06.000Z  info     daemon.start  version=0.1.0 mask=4',
      '2026-01-02T03:04:07.000Z  notice   gate.open',
      '2026-01-02T03:04:08.000Z  warning  source.intermittent  source=rdseed test=APT voided=true',
      '2026-01-02T03:04:05.000Z  warning  gate.closed  reason=a\\nb',
      '',
    ].join('\n'),
  });
  const json = await follow(bench, 2, '--after', '2', '--formatter=json');
  assert.equal(
    json.stdout
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { Sequence: number }).Sequence),
    [3, 4],
  );
  assert.match(
    (await follow(bench, 2, '--after', '3', '--formatter=csv')).stdout,
    /^Sequence,Time,Severity,Event,Detail\n4,/,
  );
  assert.match(
    (await follow(bench, 5, '--after', '3', '--formatter=keyvalue')).stdout,
    'MixerEvent.Event.string=gate.closed\n',
  );
  await closeBench(bench);
});

test('events that are lost, a daemon that stops and one that is not there end it with their codes', async () => {
  const bench = await openBench();
  const lost = await follow(bench, 1, '--after', '99');
  assert.is(lost.exit, EXIT.failed);
  assert.match(lost.stderr, 'the daemon restarted'.slice(4));
  const stopped = follow(bench, 99);
  while (bench.service.subscribers < 1) await new Promise((resolve) => setImmediate(resolve));
  await closeBench(bench);
  const { exit, stderr } = await stopped;
  assert.is(exit, EXIT.noDaemon);
  assert.match(stderr, 'the daemon stops');
  assert.is((await follow(bench, 1)).exit, EXIT.noDaemon);
});

test('a peer without the right to read is refused', async () => {
  const bench = await openBench({}, { peerCredentials: () => undefined });
  const { exit, stderr } = await follow(bench, 1);
  assert.is(exit, EXIT.permission);
  assert.match(stderr, '(permission-denied)');
  await closeBench(bench);
});

test.run();
