import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ERRORS, isErrorCode } from '../../src/base/errors.ts';
import { CACHE_LEVELS, FEEDER_CLASSES, FRAME_VERDICTS } from '../../src/base/names.ts';
import { FEEDER_FRAMES, HOST_FRAMES } from '../../src/protocol/frame-payloads.ts';
import * as limits from '../../src/protocol/limits.ts';
import { RECEIPT_BYTES } from '../../src/protocol/receipt.ts';
import { testWhen } from '../requirements.ts';
import { hasPython, pythonProgram, runPython } from './python-program.ts';

/** docs/protocol.md says what the code does. */
const document = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8');

/** The cells of the table that follows this heading or mark, without its head. */
function tableAfter(mark: string): string[][] {
  const after = document.slice(document.indexOf(mark) + mark.length);
  const table = /\n((?:\|.*\n)+)/.exec(after)?.[1] ?? '';
  const rows = table.trimEnd().split('\n').slice(2);
  return rows.map((row) =>
    row
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim().replaceAll('`', '')),
  );
}

function vectors(): Record<string, string | number> {
  const block = /<!-- vectors -->\s*```json\n([^]*?)```/.exec(document)?.[1] ?? '';
  return JSON.parse(block) as Record<string, string | number>;
}

test('vectors and close codes are those that the code makes', () => {
  const script = fileURLToPath(new URL('../../scripts/protocol-vectors.ts', import.meta.url));
  const { status, stderr } = spawnSync(process.execPath, ['--import', 'tsx', script, '--check'], {
    encoding: 'utf8',
  });
  assert.is(status, 0, stderr);
});

testWhen(hasPython)('another implementation computes the same vectors from the inputs', async () => {
  const inputs = [
    'enrolledKey',
    'receiptPrivate',
    'hostEphemeralPrivate',
    'feederEphemeralPrivate',
    'feederNonce',
    'session',
    'host',
    'payload',
    'feeder',
    'feederId',
    'hello',
    'welcome',
  ];
  const given = vectors();
  const program = pythonProgram('check_vectors.py');
  const { status, stdout, stderr } = await runPython([program], Buffer.from(JSON.stringify(given)));
  assert.equal([status, stderr], [0, '']);
  const agreed = stdout.toString().trim().split('\n');
  assert.equal([...agreed, ...inputs].sort(), Object.keys(given).sort());
});

testWhen(hasPython)('the other implementation finds a vector that is wrong', async () => {
  const given = { ...vectors(), sharedSecret: '00'.repeat(32) };
  const program = pythonProgram('check_vectors.py');
  const { status, stderr } = await runPython([program], Buffer.from(JSON.stringify(given)));
  assert.equal([status, stderr], [1, 'sharedSecret: computed otherwise\n']);
});

test('every code of the feed that can end a connection is in the table, as the error table has it', () => {
  const rows = tableAfter('<!-- closes -->');
  const codes = rows.map(([, code = '']) => code);
  for (const [close, code = '', retry] of rows) {
    assert.ok(isErrorCode(code), code);
    assert.equal(
      [Number(close), retry],
      [ERRORS[code].webSocketClose, ERRORS[code].retryable ? 'yes' : 'no'],
    );
  }
  const administration = ['feeder-unknown', 'feeder-exists', 'feeder-limit', 'feeder-class-refused'];
  const local = [...administration, 'feed-message-invalid'];
  const missing = Object.keys(ERRORS).filter(
    (code) => /^fee(d|der)-/.test(code) && !local.includes(code) && !codes.includes(code),
  );
  assert.equal(missing, []);
});

test('verdicts, levels, classes and frame types are all there, under their numbers', () => {
  assert.equal(
    tableAfter('<!-- verdicts -->').map(([number, name]) => [Number(number), name]),
    FRAME_VERDICTS.map((name, index) => [index, name]),
  );
  for (const name of FEEDER_CLASSES) assert.ok(document.includes(`\`${name}\``), name);
  assert.is(CACHE_LEVELS.length, 4);
  const types = tableAfter('<!-- frame types -->');
  const named = types.map(([type, name = '', from]) => [Number(type), name, from]);
  assert.equal(named, [
    ...Object.entries(FEEDER_FRAMES).map(([name, type]) => [type, name, 'feeder']),
    ...Object.entries(HOST_FRAMES).map(([name, type]) => [type, name, 'host']),
  ]);
});

test('fields of a record follow one another without a gap, to its end', () => {
  let offset = 0;
  for (const [at, length] of tableAfter('it calls stored are synced to disk.')) {
    assert.is(Number(at), offset);
    offset += Number(length);
  }
  assert.is(offset, RECEIPT_BYTES);
});

test('limits are stated as the code has them', () => {
  const stated = (value: number) => document.includes(value.toLocaleString('en-US'));
  for (const value of [
    limits.HANDSHAKE_MAXIMUM_BYTES,
    limits.PAYLOAD_MINIMUM_BYTES,
    limits.PAYLOAD_MAXIMUM_BYTES,
    limits.MESSAGE_MAXIMUM_BYTES,
    limits.MAXIMUM_RATE_UNITS,
    limits.ANSWER_MAXIMUM_RECORDS,
  ])
    assert.ok(stated(value), String(value));
  assert.is(limits.SESSION_MAXIMUM_BYTES, 2 ** 38);
  assert.ok(document.includes(limits.FEED_PATH) && document.includes(limits.FEED_SUBPROTOCOL));
});

test.run();
