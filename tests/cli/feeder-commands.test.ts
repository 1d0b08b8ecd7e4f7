import { mkdir, mkdtemp, open, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isAllZero } from '../../src/base/bytes.ts';
import { EntropyError, EXIT } from '../../src/base/errors.ts';
import { parseEnrolment } from '../../src/protocol/enrolment-file.ts';
import { closeBench, openBench, type ControlBench } from '../api/control-bench.ts';
import { sampleStatus } from '../api/fake-control-service.ts';
import { sampleExternal } from '../api/sample-external.ts';
import { runCommand, type Outcome } from './cli-bench.ts';

const ENROLL = 'mixer feeder enroll new --class drbg --bits-per-byte 1/32';

interface Place extends ControlBench {
  /** The working directory of the commands. */
  readonly folder: string;
  readonly run: (line: string) => Promise<Outcome>;
}

/** A daemon, and an empty folder to work in. */
async function inPlace(use: (place: Place) => Promise<void>): Promise<void> {
  const bench = await openBench();
  const folder = await mkdtemp(path.join(tmpdir(), 'feeder-'));
  const run = (line: string): Promise<Outcome> =>
    runCommand(['--runtime-dir', bench.directory, ...line.split(' ')], { workingDirectory: folder });
  try {
    await use({ ...bench, folder, run });
  } finally {
    await closeBench(bench);
    await rm(folder, { recursive: true });
  }
}

test('enrolment writes a file for the owner alone, which a feeder can read', () =>
  inPlace(async ({ folder, run, service }) => {
    assert.is((await run(ENROLL)).exit, EXIT.ok);
    const file = path.join(folder, 'new.enrolment');
    assert.is((await stat(file)).mode & 0o777, 0o600);
    const { feeder, key } = parseEnrolment(await readFile(file));
    assert.equal([feeder, key], ['new', Buffer.alloc(32, 0x11)]);
    const [enrolment] = service.calls.filter(({ name }) => name === 'enrollFeeder');
    assert.equal(enrolment?.given.slice(0, 2), ['new', { class: 'drbg', bitsPerByte: 0.03125 }]);
    assert.ok(service.answeredBytes.every(isAllZero));
  }));

test('class, rate, certificate and limit reach the daemon as they were given', () =>
  inPlace(async ({ run, service, directory }) => {
    const given: [string, number][] = [
      ['8', 8],
      ['0', 0],
      ['7.9999', 8191 / 1024],
      ['1/3', 341 / 1024],
      ['0.5/2', 0.25],
      ['0.0009', 0],
    ];
    for (const [text, bitsPerByte] of given) {
      await run(
        `mixer feeder enroll new --class noise --bits-per-byte ${text} --key-file ${text.replace('/', '_')}`,
      );
      const sent = service.calls.at(-1)?.given[1];
      assert.equal(sent, { class: 'noise', bitsPerByte }, text);
    }
    const argv =
      'mixer feeder enroll new -c full-entropy -b 8 --max-rate 65536 --weight 3 -k other --certificate'.split(
        ' ',
      );
    const folder = await mkdtemp(path.join(tmpdir(), 'feeder-'));
    const outcome = await runCommand(['--runtime-dir', directory, ...argv, 'FIPS 140-3 & #4711'], {
      workingDirectory: folder,
    });
    assert.is(outcome.exit, EXIT.ok);
    assert.equal(service.calls.at(-1)?.given[1], {
      class: 'full-entropy',
      bitsPerByte: 8,
      certificate: 'FIPS 140-3 & #4711',
      maximumBytesPerSecond: 65_536,
      weight: 3,
    });
    await rm(folder, { recursive: true });
  }));

test('a file, link or folder that is there is never overwritten, and then nobody is enrolled', () =>
  inPlace(async ({ folder, run, service }) => {
    await writeFile(path.join(folder, 'file'), 'precious');
    await symlink('nowhere', path.join(folder, 'link'));
    await mkdir(path.join(folder, 'folder'));
    for (const name of ['file', 'link', 'folder']) {
      const { exit, stderr } = await run(`${ENROLL} --key-file ${name}`);
      assert.is(exit, EXIT.usage);
      assert.match(stderr, `There is a file ${name} already (file-exists)`);
    }
    assert.is(await readFile(path.join(folder, 'file'), 'utf8'), 'precious');
    const { exit, stderr } = await run(`${ENROLL} --key-file no/such/folder`);
    assert.equal([exit, stderr.includes('ENOENT) (file-unwritable)')], [EXIT.failed, true]);
    assert.not.ok(service.calls.some(({ name }) => name === 'enrollFeeder'));
  }));

test('what the daemon refuses leaves no file behind', () =>
  inPlace(async ({ folder, run, service }) => {
    const refused = await run('mixer feeder enroll hsm-1 -c drbg -b 1/32');
    assert.match(refused.stderr, 'feeder-exists');
    service.failure = new EntropyError('state-unwritable', 'ENOSPC');
    assert.is((await run(ENROLL)).exit, EXIT.stateRefused);
    assert.is((await run('mixer feeder rotate hsm-1')).exit, EXIT.stateRefused);
    assert.equal(await readdir(folder), []);
  }));

test('a key is imported from a descriptor: 32 bytes, no more and no less, and never an argument', () =>
  inPlace(async ({ folder, run, service }) => {
    for (const lengthBytes of [0, 31, 32, 33, 4_096]) {
      const source = path.join(folder, 'source');
      await writeFile(source, Buffer.alloc(lengthBytes, 0x5c));
      const handle = await open(source);
      const { exit, stderr } = await run(`${ENROLL} --import-key ${handle.fd} --key-file out`);
      await handle.close();
      assert.is(exit, lengthBytes === 32 ? EXIT.ok : EXIT.usage, `${lengthBytes} bytes`);
      if (lengthBytes !== 32)
        assert.match(stderr, /descriptor \d+ holds (?:0|31|more) bytes, and a key has 32/i);
    }
    assert.equal(
      service.importedKeys.map(({ copy }) => Buffer.from(copy)),
      [Buffer.alloc(32, 0x5c)],
    );
    assert.equal(parseEnrolment(await readFile(path.join(folder, 'out'))).key, Buffer.alloc(32, 0x5c));
    const { exit, stderr } = await run(`${ENROLL} --import-key 1023`);
    assert.equal([exit, stderr.includes('EBADF) (input-failed)')], [EXIT.input, true]);
  }));

test('rotation writes a new file beside the old one, which still holds', () =>
  inPlace(async ({ folder, run }) => {
    await run('mixer feeder rotate hsm-1');
    const again = await run('mixer feeder rotate hsm-1');
    assert.match(again.stderr, /There is a file hsm-1\.enrolment already \(file-exists\)\. .*another file/);
    assert.is((await run('mixer feeder rotate hsm-1 --key-file second')).exit, EXIT.ok);
    assert.equal((await readdir(folder)).sort(), ['hsm-1.enrolment', 'second']);
    assert.match((await run('mixer feeder rotate nobody')).stderr, 'feeder-unknown');
  }));

test('enrolment tells how far the feeder goes: measured draw, planned draw, and no credit', () =>
  inPlace(async ({ run, service }) => {
    const running = { mask: { configured: 8, running: 8, honoured: 8 } };
    const shown = async (line: string): Promise<string> => (await run(line)).stdout.split('\n')[1] ?? '';
    // Both caches hold 4,718,592 bytes: at 8 bits 37,748,736 bits.
    service.report = sampleStatus({ ...running, external: sampleExternal({ drawBitsPerSecond: 512 }) });
    assert.is(
      await shown('mixer feeder enroll a -c noise -b 8'),
      '   At the present draw of 512 credited bits/s, full caches of this feeder last 20 h 28 min; it must deliver at least 64 bytes/s.',
    );
    // 64 bytes every 10 s are two blocks of 320 bits: 64 bits/s.
    service.report = sampleStatus({ ...running, external: sampleExternal({ drawBitsPerSecond: 0 }) });
    assert.is(
      await shown('mixer feeder enroll b -c noise -b 3'),
      '   Nothing is drawn now; at the 64 credited bits/s of the kernel feed, full caches of this feeder last 2 d 13 h; it must deliver at least 22 bytes/s.',
    );
    assert.match(await shown('mixer feeder enroll c -c public -b 0'), /credited nothing/);
    assert.not.match((await run('mixer feeder enroll d -c public -b 0')).stdout, /disabled/);
  }));

test.run();
