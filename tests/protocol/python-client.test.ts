import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { encodeEnrolment } from '../../src/protocol/enrolment-file.ts';
import { ReceiptVerifier } from '../../src/protocol/receipt-verifier.ts';
import { LONG } from '../counts.ts';
import { SeededStream } from '../fakes/seeded-stream.ts';
import { testWhen } from '../requirements.ts';
import { altered, HELLO, HOST_ID, KEY, OTHER_HOST_ID, OTHER_KEY, RECEIPT_KEY } from './feed-fixture.ts';
import { MinimalFeedHost, type MinimalHostOptions } from './minimal-feed-host.ts';
import { hasPython, pythonProgram, runPython } from './python-program.ts';

/** A client in another language, written from docs/protocol.md alone, against these codecs. */
const CLIENT = pythonProgram('feed_client.py');
const ENTROPY = Buffer.from(new SeededStream('python client').bytes(40_000));

interface ClientRun {
  readonly status: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
  /** What the client left as its receipts file. */
  readonly receipts: Buffer;
}

interface ClientOptions extends MinimalHostOptions {
  readonly program?: string;
  readonly args?: readonly string[];
  /** A receipts file that is there already. */
  readonly earlier?: Uint8Array;
  readonly entropy?: Buffer;
}

async function withHost(
  options: ClientOptions,
  check: (host: MinimalFeedHost, run: (more?: ClientOptions) => Promise<ClientRun>) => Promise<void>,
): Promise<void> {
  const host = await MinimalFeedHost.open(options);
  const directory = mkdtempSync(path.join(tmpdir(), 'python-client-'));
  const enrolment = path.join(directory, 'enrolment');
  const receipts = path.join(directory, 'receipts');
  const run = async (more: ClientOptions = options): Promise<ClientRun> => {
    if (more.earlier !== undefined) writeFileSync(receipts, more.earlier);
    const result = await runPython(
      [CLIENT, enrolment, receipts, ...(more.args ?? [])],
      more.entropy ?? ENTROPY,
    );
    return { ...result, receipts: readOrEmpty(receipts) };
  };
  try {
    const file = { url: host.url, host: HOST_ID, feeder: 'lab-1', receiptKey: RECEIPT_KEY, key: KEY };
    writeFileSync(enrolment, encodeEnrolment(file), { mode: 0o600 });
    await check(host, run);
  } finally {
    await host.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

function readOrEmpty(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch {
    return Buffer.alloc(0);
  }
}

function summaryOf({ stdout, stderr }: ClientRun): Record<string, unknown> {
  assert.is(stderr, '');
  return JSON.parse(stdout.toString()) as Record<string, unknown>;
}

/** The file as our own verifier sees it. */
function verified(receipts: Buffer) {
  const verifier = new ReceiptVerifier({ receiptKey: RECEIPT_KEY, host: HOST_ID });
  verifier.add(receipts);
  return verifier.summary();
}

const testPython = testWhen(hasPython);

testPython('sends every byte once, in order, and holds a whole chain of receipts', () =>
  withHost({}, async (host, run) => {
    const result = await run();
    const { unsettled, connections, ...summary } = summaryOf(result);
    assert.equal([result.status, unsettled, connections], [0, 0, 1]);
    assert.equal(Buffer.concat(host.payloads), ENTROPY);
    assert.equal(summary, {
      records: 11,
      frames: 10,
      sessions: 1,
      openSessions: 0,
      payloadBytes: 40_000,
      creditUnits: 40_000 * 8192,
      verdicts: ['accepted'],
      asked: 0,
      lostBytes: 0,
    });
    assert.equal([verified(result.receipts).records, verified(result.receipts).openSessions], [11, 0]);
  }),
);

testPython('keeps to a grant that is far smaller than what it has', () =>
  withHost({ grantBytes: 4096 }, async (host, run) => {
    const result = await run();
    assert.is(result.status, 0);
    assert.equal([host.faults, host.payloads.length], [[], 10]);
  }),
);

testPython('after two broken connections: nothing twice, and the missed receipts asked for', () =>
  withHost({ breakAfterFrames: [3, 7], grantBytes: 4096 }, async (host, run) => {
    const result = await run();
    const summary = summaryOf(result);
    assert.is(result.status, 0);
    assert.equal([summary.connections, summary.sessions, summary.openSessions], [3, 3, 0]);
    assert.equal(Buffer.concat(host.payloads), ENTROPY);
    assert.equal([summary.frames, summary.unsettled, summary.payloadBytes], [10, 0, 40_000]);
    assert.ok(host.asks >= 2);
    const { frames, sessions, openSessions } = verified(result.receipts);
    assert.equal({ frames, sessions, openSessions }, { frames: 10, sessions: 3, openSessions: 0 });
  }),
);

testPython('a second run goes on with sequence and receipts of the first', () =>
  withHost({}, async (host, run) => {
    await run();
    const next = host.nextSequence;
    const result = await run({ entropy: ENTROPY.subarray(0, 100) });
    assert.is(result.status, 0);
    assert.ok(host.nextSequence > next);
    assert.is(verified(result.receipts).sessions, 2);
  }),
);

testPython('more receipts than one answer holds are asked for in turns', () =>
  withHost({ breakAfterFrames: [450] }, async (host, run) => {
    const entropy = ENTROPY.subarray(0, 450 * 64);
    const result = await run({ args: ['--frame-bytes', '64'], entropy });
    assert.is(result.status, 0);
    // A client that lost its file asks for all 451 records: three answers, and one that brings nothing new.
    const lost = await run({ earlier: Buffer.alloc(0), entropy: Buffer.alloc(64, 9) });
    assert.equal([lost.status, summaryOf(lost).asked], [0, 4]);
    assert.is(verified(lost.receipts).frames, 451);
    assert.equal(host.faults, []);
  }),
);

testPython('receipts that the host no longer keeps leave a session open, and the rest of it out', () =>
  withHost({ breakAfterFrames: [5] }, async (host, run) => {
    await run({ args: ['--attempts', '1'] });
    host.receipts.splice(0, 2);
    const result = await run({ entropy: ENTROPY.subarray(0, 64) });
    const { frames, sessions, openSessions } = verified(result.receipts);
    assert.equal([result.status, frames, sessions, openSessions], [0, 1, 1, 0]);
  }),
);

testPython('a wrong key ends in the code for it, as does a host without the key', async () => {
  await withHost({ key: OTHER_KEY }, async (host, run) => {
    const result = await run();
    assert.equal([result.status, host.faults], [12, ['feeder-unauthenticated']]);
    assert.match(result.stderr, /the proof does not match/);
  });
  for (const hello of [
    { ...HELLO, host: OTHER_HOST_ID },
    { ...HELLO, receiptKey: OTHER_KEY },
  ])
    await withHost({ hello }, async (host, run) => {
      assert.equal([(await run()).status, host.payloads.length], [12, 0]);
    });
});

testPython('a host whose mask leaves external entropy out gets nothing', () =>
  withHost({ hello: { ...HELLO, external: 'disabled', mask: 4 } }, async (host, run) => {
    assert.equal([(await run()).status, host.payloads.length], [10, 0]);
  }),
);

testPython('an altered receipts file is refused before anything is sent', () =>
  withHost({}, async (host, run) => {
    const { receipts } = await run();
    const sent = host.payloads.length;
    for (const at of LONG ? [8, 100, 130, 199, 263] : [100]) {
      const result = await run({ earlier: altered(receipts, at) });
      assert.equal([result.status, host.payloads.length], [9, sent]);
    }
  }),
);

testPython('verdicts are read from the receipts', () =>
  withHost({ verdict: 'test-failed' }, async (_, run) => {
    const { verdicts, creditUnits } = summaryOf(await run());
    assert.equal([verdicts, creditUnits], [['test-failed'], 0]);
  }),
);

testPython('the smallest session of the document works as it stands there', async () => {
  const document = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8');
  const program = /<!-- smallest session -->\s*```python\n([^]*?)```/.exec(document)?.[1];
  assert.ok(program !== undefined && program.split('\n').length < 75);
  const host = await MinimalFeedHost.open();
  const directory = mkdtempSync(path.join(tmpdir(), 'smallest-session-'));
  try {
    const file = path.join(directory, 'session.py');
    const enrolment = path.join(directory, 'enrolment');
    writeFileSync(file, program);
    writeFileSync(
      enrolment,
      encodeEnrolment({ url: host.url, host: HOST_ID, feeder: 'lab-1', receiptKey: RECEIPT_KEY, key: KEY }),
    );
    const { status, stdout, stderr } = await runPython([file, enrolment], ENTROPY.subarray(0, 4096));
    assert.equal([status, stderr], [0, '']);
    assert.equal(host.payloads, [ENTROPY.subarray(0, 4096)]);
    assert.equal([verified(stdout).frames, verified(stdout).openSessions], [1, 0]);
  } finally {
    await host.close();
    rmSync(directory, { recursive: true, force: true });
  }
});

test.run();
