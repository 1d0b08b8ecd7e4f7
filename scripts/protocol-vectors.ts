/**
 * Makes what docs/protocol.md takes from the code: the worked vectors, one whole session from fixed inputs with every value in between,
 * and the table of close codes.
 *
 *   node --import tsx scripts/protocol-vectors.ts            prints them
 *   node --import tsx scripts/protocol-vectors.ts --check    exits 1 when the document holds others
 *   node --import tsx scripts/protocol-vectors.ts --write    puts them into the document
 */
import { createHash, diffieHellman } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import * as prettier from 'prettier';
import { ERRORS, isErrorCode } from '../src/base/errors.ts';
import type { RandomSource } from '../src/base/random.ts';
import {
  EMPTY_PAYLOAD,
  encodeAsk,
  encodeGrant,
  FEEDER_FRAMES,
  HOST_FRAMES,
} from '../src/protocol/frame-payloads.ts';
import { parseHello, parseProof, parseWelcome, type HostHello } from '../src/protocol/handshake-messages.ts';
import { FeederHandshake, HostHandshake, transcriptOf, welcomeBytes } from '../src/protocol/handshake.ts';
import { privateKeyFrom, publicBytesOf, publicKeyFrom } from '../src/protocol/raw-keys.ts';
import { ReceiptChain } from '../src/protocol/receipt-chain.ts';
import { receiptDigest } from '../src/protocol/receipt.ts';
import { deriveSessionKeys } from '../src/protocol/session-keys.ts';

const DOCUMENT = new URL('../docs/protocol.md', import.meta.url);
const VECTORS = /(<!-- vectors -->\s*```json\n)[^]*?(\n```)/;
const CLOSES = /(<!-- closes -->\s*\| WebSocket .*\n\|.*\n)[^]*?(\n## )/;

/** Codes that end a feed connection: of the feed's own those that the host tells, and those of the daemon around it. */
const CLOSE_CODES = [
  ...Object.keys(ERRORS).filter((code) => /^fee(d|der)-/.test(code) && !isLocal(code)),
  'external-disabled',
  'engine-busy',
  'engine-stopped',
  'payload-too-large',
  'server-busy',
  'state-unwritable',
  'reader-slow',
  'internal',
].filter(isErrorCode);

/** What would be random, or was given at enrolment: counted bytes, so that each is known by sight. */
const SECRETS = {
  enrolledKey: counted(0x00, 32),
  receiptPrivate: counted(0x20, 32),
  hostEphemeralPrivate: counted(0x40, 32),
  hostNonce: counted(0x60, 32),
  feederEphemeralPrivate: counted(0x80, 32),
  feederNonce: counted(0xa0, 32),
  session: counted(0xc0, 16),
  host: counted(0xd0, 16),
  payload: counted(0xe0, 32),
};
const NEXT_SEQUENCE = 41;
const RATE_UNITS = 4096;
const TIME_MS = 1_800_000_000_000;

const { values } = parseArgs({ options: { check: { type: 'boolean' }, write: { type: 'boolean' } } });
const block = JSON.stringify(vectors(), null, 2);
if (values.check === true || values.write === true) await intoDocument(values.write === true);
else console.log(block);

async function intoDocument(mayWrite: boolean): Promise<void> {
  const before = readFileSync(DOCUMENT, 'utf8');
  if (!VECTORS.test(before) || !CLOSES.test(before)) throw new Error('the document has no place for them');
  const made = before
    .replace(VECTORS, (_, opening: string, closing: string) => opening + block + closing)
    .replace(CLOSES, (_, opening: string, closing: string) => opening + closeRows() + closing);
  const options = await prettier.resolveConfig(fileURLToPath(DOCUMENT));
  const after = await prettier.format(made, { ...options, parser: 'markdown' });
  if (after === before) console.log('docs/protocol.md holds the vectors and close codes of the code');
  else if (mayWrite) writeFileSync(DOCUMENT, after);
  else {
    console.error('docs/protocol.md holds other vectors or close codes than the code makes');
    process.exitCode = 1;
  }
}

function closeRows(): string {
  const rows = CLOSE_CODES.map((code) => {
    const { webSocketClose, retryable, meaning } = ERRORS[code];
    return [String(webSocketClose), `\`${code}\``, retryable ? 'yes' : 'no', meaning];
  });
  rows.sort(([a = ''], [b = '']) => a.localeCompare(b));
  return rows.map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}

/** Told to an operator, or by the feeder to its own user: never on the wire. */
function isLocal(code: string): boolean {
  const administration = ['feeder-unknown', 'feeder-exists', 'feeder-limit', 'feeder-class-refused'];
  return [...administration, 'feed-message-invalid'].includes(code);
}

/** Numbers as they are, texts as they are sent, everything else in hexadecimal. */
function vectors(): Record<string, string | number> {
  const hostEnd = new HostHandshake(hello(), {
    random: giving(SECRETS.hostEphemeralPrivate, SECRETS.hostNonce, SECRETS.session),
  });
  const feederEnd = new FeederHandshake(
    { feeder: 'lab-1', key: SECRETS.enrolledKey, host: SECRETS.host, receiptKey: hello().receiptKey },
    { random: giving(SECRETS.feederEphemeralPrivate, SECRETS.feederNonce) },
  );
  const { proof } = feederEnd.answer(hostEnd.hello);
  hostEnd.readProof(proof);
  hostEnd.accepts(SECRETS.enrolledKey);
  const { message: welcome, session } = hostEnd.welcome({
    nextSequence: NEXT_SEQUENCE,
    lastReceipt: undefined,
    feederClass: 'noise',
    rateUnits: RATE_UNITS,
  });
  const feeder = feederEnd.finish(welcome).session;
  const dataFrame = feeder.sealer.seal(FEEDER_FRAMES.data, SECRETS.payload);
  const records = receipts(dataFrame);
  const grantPayload = encodeGrant({ totalBytes: 1_048_576, totalFrames: 64, lapseMs: 10_000 });
  return {
    ...inHex(SECRETS),
    feeder: 'lab-1',
    feederId: 7,
    receiptKey: hex(hello().receiptKey),
    hello: hostEnd.hello.toString(),
    ...keySchedule(hostEnd.hello, proof, welcome),
    proof: proof.toString(),
    welcome: welcome.toString(),
    dataFrame: hex(dataFrame),
    pingFrame: hex(feeder.sealer.seal(FEEDER_FRAMES.ping, EMPTY_PAYLOAD)),
    askFrame: hex(feeder.sealer.seal(FEEDER_FRAMES.ask, encodeAsk(NEXT_SEQUENCE, 200))),
    closeFrame: hex(feeder.sealer.seal(FEEDER_FRAMES.close, EMPTY_PAYLOAD)),
    grantPayload: hex(grantPayload),
    grantFrame: hex(session.sealer.seal(HOST_FRAMES.grant, grantPayload)),
    ...inHex(records),
    receiptFrame: hex(session.sealer.seal(HOST_FRAMES.receipt, records.receipt)),
  };
}

function hello(): HostHello {
  return {
    software: 'example 1',
    host: SECRETS.host,
    external: 'enabled',
    mask: 12,
    limits: {
      frameMinimumBytes: 32,
      frameMaximumBytes: 65_536,
      handshakeSeconds: 5,
      bytesPerSecond: 16_777_216,
      framesPerSecond: 2000,
      lostTimeoutSeconds: 60,
      receiptsKept: 10_000,
    },
    receiptKey: publicBytesOf(privateKeyFrom('ed25519', SECRETS.receiptPrivate)),
  };
}

/** From the messages and the two ephemeral keys to the keys of the session. */
function keySchedule(helloText: Buffer, proofText: Buffer, welcomeText: Buffer): Record<string, string> {
  const proof = parseProof(proofText);
  const welcome = parseWelcome(welcomeText);
  const hostEphemeral = Buffer.from(parseHello(helloText).ephemeral);
  const sharedSecret = diffieHellman({
    privateKey: privateKeyFrom('x25519', SECRETS.feederEphemeralPrivate),
    publicKey: publicKeyFrom('x25519', hostEphemeral),
  });
  const transcript = transcriptOf(helloText, proof);
  const keys = deriveSessionKeys(sharedSecret, SECRETS.enrolledKey, transcript);
  return inHex({
    hostEphemeral,
    feederEphemeral: proof.ephemeral,
    sharedSecret,
    transcript,
    feederProofKey: keys.feederProof,
    hostProofKey: keys.hostProof,
    feederToHostKey: keys.feederToHost,
    hostToFeederKey: keys.hostToFeeder,
    feederProof: proof.proof,
    welcomeBytes: welcomeBytes(welcome),
    hostProof: welcome.proof,
  });
}

function receipts(dataFrame: Buffer): { receipt: Buffer; receiptDigest: Buffer; endReceipt: Buffer } {
  const privateKey = privateKeyFrom('ed25519', SECRETS.receiptPrivate);
  const { host, session, payload } = SECRETS;
  const chain = new ReceiptChain({ host, session, feeder: 'lab-1', feederId: 7 }, { privateKey });
  const receipt = chain.receipt({
    sequence: NEXT_SEQUENCE,
    frameDigest: createHash('sha256').update(dataFrame).digest(),
    verdict: 'accepted',
    payloadBytes: payload.length,
    memoryBytes: payload.length,
    storedBytes: 0,
    creditUnits: payload.length * RATE_UNITS,
    timeMs: TIME_MS,
  });
  const endReceipt = chain.end(TIME_MS + 1000);
  if (endReceipt === undefined) throw new Error('a session with a frame has an end');
  return { receipt, receiptDigest: receiptDigest(receipt), endReceipt };
}

function counted(first: number, length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, index) => first + index));
}

/** A source that gives these, one at a time, and then fails. */
function giving(...prepared: Buffer[]): RandomSource {
  return (target) => {
    const next = prepared.shift();
    if (next?.length !== target.length) throw new Error('the handshake draws other randomness than expected');
    target.set(next);
  };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function inHex(named: Readonly<Record<string, Uint8Array>>): Record<string, string> {
  return Object.fromEntries(Object.entries(named).map(([name, bytes]) => [name, hex(bytes)]));
}
