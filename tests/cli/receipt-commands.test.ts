import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EXIT } from '../../src/base/errors.ts';
import { RECEIPT_BYTES } from '../../src/protocol/receipt.ts';
import { closeBench, openBench } from '../api/control-bench.ts';
import { SAMPLE_RECEIPT_KEY } from '../api/sample-external.ts';
import { runCommand, type Outcome } from './cli-bench.ts';
import { sampleReceipts } from './sample-receipts.ts';

const { key, host } = SAMPLE_RECEIPT_KEY;
const OTHER_KEY = '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c';

function enrolment(receiptKey: string, hostId: string): string {
  return `entropy-feed enrolment v1\nurl ws://127.0.0.1:1/v1/feed\nhost ${hostId}\nfeeder hsm-1\nreceipt-key ${receiptKey}\nkey ${'11'.repeat(32)}\n`;
}

/** Runs a command in a folder with these files. */
async function runWith(files: Readonly<Record<string, Uint8Array | string>>, line: string): Promise<Outcome> {
  const workingDirectory = await mkdtemp(path.join(tmpdir(), 'receipts-'));
  for (const [name, bytes] of Object.entries(files))
    await writeFile(path.join(workingDirectory, name), bytes);
  const outcome = await runCommand(['--runtime-dir', '/none', ...line.split(' ')], { workingDirectory });
  await rm(workingDirectory, { recursive: true });
  return outcome;
}

const receipts = sampleReceipts();

test('receipts verify with the key, with an enrolment file, and with what the daemon tells', async () => {
  const files = { receipts, enrolment: enrolment(key, host) };
  for (const given of [key, key.toUpperCase(), 'enrolment']) {
    const { exit, stdout, stderr } = await runWith(files, `mixer receipt verify receipts --key ${given}`);
    assert.is(exit, EXIT.ok, stderr);
    assert.match(stdout, /Valid: true\n {3}Records: 5\n/);
  }
  assert.is((await runWith(files, 'mixer receipt verify receipts')).exit, EXIT.noDaemon);
});

test('the receipt of another host, or under another key, is refused by each of them', async () => {
  const files = {
    receipts,
    'other-key': enrolment(OTHER_KEY, host),
    'other-host': enrolment(key, 'ff'.repeat(16)),
  };
  for (const given of [OTHER_KEY, 'other-key', 'other-host']) {
    const { exit, stdout, stderr } = await runWith(files, `mixer receipt verify receipts --key ${given}`);
    assert.equal([exit, stdout], [EXIT.integrity, '']);
    assert.match(stderr, /^Error: Record 1: .*\(receipt-invalid\)\. /);
  }
  const bench = await openBench();
  const folder = await mkdtemp(path.join(tmpdir(), 'receipts-'));
  await writeFile(path.join(folder, 'receipts'), receipts);
  bench.service.receipts = { ...SAMPLE_RECEIPT_KEY, host: 'ff'.repeat(16) };
  const argv = ['--runtime-dir', bench.directory, 'mixer', 'receipt', 'verify', 'receipts'];
  const outcome = await runCommand(argv, { workingDirectory: folder });
  assert.is(outcome.exit, EXIT.integrity);
  await closeBench(bench);
  await rm(folder, { recursive: true });
});

test('the first record that is wrong is named: altered, missing, out of order, cut off', async () => {
  const record = (index: number): Buffer =>
    receipts.subarray(index * RECEIPT_BYTES, (index + 1) * RECEIPT_BYTES);
  const altered = Buffer.from(receipts);
  altered.writeUInt8(altered.readUInt8(2 * RECEIPT_BYTES + 167) ^ 1, 2 * RECEIPT_BYTES + 167);
  const wrong: [string, Buffer, number][] = [
    ['altered', altered, 3],
    ['missing', Buffer.concat([record(0), record(2)]), 2],
    ['out of order', Buffer.concat([record(1), record(0)]), 1],
    ['cut off', receipts.subarray(0, -1), 5],
    ['no receipts', Buffer.from('x'.repeat(RECEIPT_BYTES)), 1],
  ];
  for (const [what, bytes, position] of wrong) {
    const { exit, stderr } = await runWith({ file: bytes }, `mixer receipt verify file --key ${key}`);
    assert.is(exit, EXIT.integrity, what);
    assert.ok(stderr.startsWith(`Error: Record ${position}: `), `${what}: ${stderr}`);
  }
});

test('a file longer than one piece verifies as a whole', async () => {
  const many = Buffer.concat(Array.from({ length: 300 }, (_, index) => sampleReceipts('hsm-1', index)));
  const { stdout, stderr } = await runWith({ file: many }, `mixer receipt verify file --key ${key}`);
  assert.match(
    stdout,
    /Records: 1500\n {3}Frames: 1200\n {3}Sessions: 600\n {3}Sessions Without End: 300\n/,
    stderr,
  );
});

test('show needs no key and no daemon, lists as many as asked, and names what is no receipt', async () => {
  const { stdout } = await runWith({ receipts }, 'mixer receipt show receipts --limit 2 --formatter=json');
  const shown = JSON.parse(stdout) as { Record: number; Verdict: string }[];
  assert.equal(
    shown.map(({ Record: record, Verdict: verdict }) => [record, verdict]),
    [
      [1, 'accepted'],
      [2, 'accepted'],
    ],
  );
  const cut = await runWith({ receipts: receipts.subarray(0, 300) }, 'mixer receipt show receipts');
  assert.equal([cut.exit, cut.stderr.startsWith('Error: Record 2: it has 36 bytes')], [EXIT.integrity, true]);
  const empty = await runWith({ receipts: '' }, 'mixer receipt show receipts --formatter=json');
  assert.equal(JSON.parse(empty.stdout), []);
});

test('a file that cannot be read is told as such', async () => {
  for (const line of ['mixer receipt show nothing', `mixer receipt verify nothing --key ${key}`]) {
    const { exit, stderr } = await runWith({}, line);
    assert.equal([exit, stderr.includes('ENOENT) (input-failed)')], [EXIT.input, true]);
  }
  const folder = await runWith({}, 'mixer receipt show .');
  assert.match(folder.stderr, /EISDIR\) \(input-failed\)/);
  const { exit, stderr } = await runWith(
    { receipts, bad: 'x'.repeat(9_000) },
    'mixer receipt verify receipts --key bad',
  );
  assert.equal([exit, stderr.includes('enrolment-invalid')], [EXIT.usage, true]);
});

test.run();
