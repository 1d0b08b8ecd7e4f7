import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isEntropyError } from '../../src/base/errors.ts';
import { parseHello, parseProof, parseWelcome } from '../../src/protocol/handshake-messages.ts';
import { FeederHandshake, HostHandshake } from '../../src/protocol/handshake.ts';
import { count } from '../counts.ts';
import { seededSource } from '../fakes/seeded-stream.ts';
import { throwsWith } from '../rejects.ts';
import {
  handshake,
  HELLO,
  HOST_ID,
  IDENTITY,
  KEY,
  OTHER_HOST_ID,
  OTHER_KEY,
  RECEIPT_KEY,
  TERMS,
} from './feed-fixture.ts';
import { isA } from '../rejects.ts';

const random = seededSource('handshake test');

function hostEnd(hello = HELLO): HostHandshake {
  return new HostHandshake(hello, { random });
}

function feederEnd(identity = IDENTITY): FeederHandshake {
  return new FeederHandshake(identity, { random });
}

type Json = Record<string, unknown>;

/** The message with some fields put in or, where undefined, left out. */
function changed(message: Uint8Array, fields: Json): Buffer {
  return Buffer.from(JSON.stringify({ ...(JSON.parse(Buffer.from(message).toString()) as Json), ...fields }));
}

function limitsChanged(message: Uint8Array, fields: Json): Buffer {
  const { limits } = JSON.parse(Buffer.from(message).toString()) as { limits: Json };
  return changed(message, { limits: { ...limits, ...fields } });
}

test('after the handshake both ends hold the same two keys, one for each direction', () => {
  const { host, feeder } = handshake();
  const entropy = Buffer.alloc(32, 1);
  assert.equal(host.opener.open(feeder.sealer.seal(1, entropy)), {
    type: 1,
    sequence: 41,
    payload: new Uint8Array(entropy),
  });
  assert.is(feeder.opener.open(host.sealer.seal(20, Buffer.alloc(8))).sequence, 1);
  assert.equal(host.id, feeder.id);
});

test('the welcome tells where the feeder goes on', () => {
  const lastReceipt = createHash('sha256').update('a receipt').digest();
  for (const terms of [
    TERMS,
    { nextSequence: 1, lastReceipt, feederClass: 'drbg', rateUnits: 32 } as const,
    { nextSequence: Number.MAX_SAFE_INTEGER, lastReceipt, feederClass: 'public', rateUnits: 0 } as const,
  ]) {
    const { welcome, feeder } = handshake('terms', terms);
    const { session, proof, ...told } = parseWelcome(welcome);
    assert.equal(told, terms);
    assert.equal([session, proof.length], [feeder.id, 32]);
    assert.is(feeder.sealer.nextSequence, terms.nextSequence);
  }
});

test('a wrong key is not accepted, and a rotated feeder may try its two keys in turn', () => {
  const host = hostEnd();
  host.readProof(feederEnd().answer(host.hello).proof);
  assert.not.ok(host.accepts(OTHER_KEY));
  assert.throws(() => host.welcome(TERMS), isA(TypeError));
  assert.ok(host.accepts(KEY));
});

test('a host without the key cannot welcome', () => {
  const host = hostEnd();
  const feeder = feederEnd();
  const thief = feederEnd({ ...IDENTITY, key: OTHER_KEY });
  const { proof } = feeder.answer(host.hello);
  const impostor = hostEnd();
  impostor.readProof(thief.answer(impostor.hello).proof);
  assert.ok(impostor.accepts(OTHER_KEY));
  const { message } = impostor.welcome(TERMS);
  throwsWith(() => feeder.finish(message), 'feeder-unauthenticated');
  // Nor can it turn the feeder's own proof around.
  const { proof: own } = JSON.parse(proof.toString()) as { proof: string };
  throwsWith(() => feeder.finish(changed(message, { proof: own })), 'feeder-unauthenticated');
});

test('nothing is proven to a host of another id or another receipt key', () => {
  for (const identity of [
    { ...IDENTITY, host: OTHER_HOST_ID },
    { ...IDENTITY, receiptKey: OTHER_KEY },
  ])
    throwsWith(() => feederEnd(identity).answer(hostEnd().hello), 'feeder-unauthenticated');
});

test('a proof made for one host is worth nothing at another, even under the same key', () => {
  const here = hostEnd();
  const there = hostEnd({ ...HELLO, host: OTHER_HOST_ID });
  const feeder = feederEnd({ ...IDENTITY, host: OTHER_HOST_ID });
  here.readProof(feeder.answer(there.hello).proof);
  assert.not.ok(here.accepts(KEY));
});

test('a proof answers one hello only: a recorded one is refused on the next connection', () => {
  const recorded = handshake().proof;
  const host = hostEnd();
  host.readProof(recorded);
  assert.not.ok(host.accepts(KEY));
});

test('every field of the hello is under the proofs', () => {
  for (const fields of [
    { software: 'another' },
    { external: 'disabled' },
    { mask: 8 },
    { nonce: '00'.repeat(32) },
  ]) {
    const host = hostEnd();
    host.readProof(feederEnd().answer(changed(host.hello, fields)).proof);
    assert.not.ok(host.accepts(KEY), JSON.stringify(fields));
  }
  const host = hostEnd();
  host.readProof(feederEnd().answer(limitsChanged(host.hello, { framesPerSecond: 1 })).proof);
  assert.not.ok(host.accepts(KEY));
});

test('every field of the proof is under it', () => {
  const other = seededSource('other');
  const nonce = Buffer.alloc(32);
  other(nonce);
  for (const fields of [
    { feeder: 'lab-2' },
    { nonce: nonce.toString('hex') },
    { ephemeral: RECEIPT_KEY.toString('hex') },
    { proof: '00'.repeat(32) },
  ]) {
    const host = hostEnd();
    host.readProof(changed(feederEnd().answer(host.hello).proof, fields));
    assert.not.ok(host.accepts(KEY), JSON.stringify(fields));
  }
});

test('every field of the welcome is under its proof', () => {
  for (const fields of [
    { session: '00'.repeat(16) },
    { nextSequence: 1 },
    { lastReceipt: '11'.repeat(32) },
    { feederClass: 'host-derived' },
    { rateUnits: 1 },
    { proof: '00'.repeat(32) },
  ]) {
    const host = hostEnd();
    const feeder = feederEnd();
    host.readProof(feeder.answer(host.hello).proof);
    host.accepts(KEY);
    const { message } = host.welcome(TERMS);
    throwsWith(() => feeder.finish(changed(message, fields)), 'feeder-unauthenticated');
  }
});

/** Public keys of small order (RFC 7748, section 6.1; the list is Bernstein's): the shared secret would be known to all. */
const SMALL_ORDER = [
  '00'.repeat(32),
  '01' + '00'.repeat(31),
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
];

test('ephemeral keys of small order are refused at both ends', () => {
  for (const ephemeral of SMALL_ORDER) {
    const host = hostEnd();
    throwsWith(() => feederEnd().answer(changed(host.hello, { ephemeral })), 'feed-message-invalid');
    const { proof } = feederEnd().answer(host.hello);
    throwsWith(() => host.readProof(changed(proof, { ephemeral })), 'feed-handshake-invalid');
  }
});

test('key sets are closed: a missing, an added or an inherited field is refused', () => {
  const messages = handshake();
  for (const [parse, message, code] of [
    [parseHello, messages.hello, 'feed-message-invalid'],
    [parseProof, messages.proof, 'feed-handshake-invalid'],
    [parseWelcome, messages.welcome, 'feed-message-invalid'],
  ] as const) {
    parse(message);
    for (const name of Object.keys(JSON.parse(message.toString()) as Json))
      throwsWith(() => parse(changed(message, { [name]: undefined })), code);
    throwsWith(() => parse(changed(message, { more: 1 })), code);
    const inherited = message.toString().replace('{', '{"__proto__":{},');
    throwsWith(() => parse(Buffer.from(inherited)), code);
    throwsWith(() => parse(changed(message, { version: 2 })), code);
    throwsWith(() => parse(changed(message, { type: 'other' })), code);
  }
  const { hello } = messages;
  const { limits } = JSON.parse(hello.toString()) as { limits: Json };
  for (const name of Object.keys(limits))
    throwsWith(() => parseHello(limitsChanged(hello, { [name]: undefined })), 'feed-message-invalid');
  throwsWith(() => parseHello(limitsChanged(hello, { more: 1 })), 'feed-message-invalid');
});

test('fields keep to their exact bounds', () => {
  const { hello, proof, welcome } = handshake();
  const helloBounds: readonly [Json, Json][] = [
    [{ mask: 0 }, { mask: -1 }],
    [{ mask: 15 }, { mask: 16 }],
    [{ software: 'x' }, { software: '' }],
    [{ software: 'x'.repeat(64) }, { software: 'x'.repeat(65) }],
    [{ software: '~ ' }, { software: 'tab\t' }],
    [{ external: 'disabled' }, { external: 'maybe' }],
    [{ host: 'ab'.repeat(16) }, { host: 'AB'.repeat(16) }],
    [{ nonce: '00'.repeat(32) }, { nonce: '00'.repeat(33) }],
    [{ receiptKey: '00'.repeat(32) }, { receiptKey: '00'.repeat(31) }],
    [{ ephemeral: '0f'.repeat(32) }, { ephemeral: '0g'.repeat(32) }],
  ];
  for (const [good, bad] of helloBounds) {
    parseHello(changed(hello, good));
    throwsWith(() => parseHello(changed(hello, bad)), 'feed-message-invalid');
  }
  for (const feeder of ['a', '0', 'a'.repeat(32), 'a._-9']) parseProof(changed(proof, { feeder }));
  for (const feeder of ['', 'a'.repeat(33), '-a', '.a', 'A', 'a/b', 'a\n', 7, null])
    throwsWith(() => parseProof(changed(proof, { feeder })), 'feed-handshake-invalid');
  for (const nextSequence of [1, Number.MAX_SAFE_INTEGER]) parseWelcome(changed(welcome, { nextSequence }));
  for (const nextSequence of [0, 2 ** 53, 1.5, '1', null])
    throwsWith(() => parseWelcome(changed(welcome, { nextSequence })), 'feed-message-invalid');
  for (const rateUnits of [0, 8192]) parseWelcome(changed(welcome, { rateUnits }));
  for (const rateUnits of [-1, 8193])
    throwsWith(() => parseWelcome(changed(welcome, { rateUnits })), 'feed-message-invalid');
});

test('a message of 4,096 bytes is read, one of 4,097 is not', () => {
  const { proof } = handshake();
  const padded = (length: number) => Buffer.concat([proof, Buffer.alloc(length - proof.length, ' ')]);
  parseProof(padded(4096));
  throwsWith(() => parseProof(padded(4097)), 'feed-handshake-invalid');
});

test('what is no JSON object in UTF-8 is refused', () => {
  for (const text of ['', 'null', '[]', '"hello"', '{', '{}{}', '\u{feff}{}'])
    throwsWith(() => parseProof(Buffer.from(text)), 'feed-handshake-invalid');
  throwsWith(() => parseHello(Buffer.from([0x7b, 0xff, 0x7d])), 'feed-message-invalid');
});

test('no JSON makes a parser throw anything but its code', () => {
  const { hello, proof, welcome } = handshake();
  const parsers = [
    [parseHello, hello, 'feed-message-invalid'],
    [parseProof, proof, 'feed-handshake-invalid'],
    [parseWelcome, welcome, 'feed-message-invalid'],
  ] as const;
  fc.assert(
    fc.property(fc.nat(), fc.jsonValue(), fc.uint8Array({ maxLength: 300 }), (pick, value, junk) => {
      for (const [parse, message, code] of parsers) {
        const names = Object.keys(JSON.parse(message.toString()) as Json);
        const name = names[pick % names.length]!;
        for (const bytes of [changed(message, { [name]: value }), Buffer.from(JSON.stringify(value)), junk]) {
          try {
            parse(bytes);
          } catch (error) {
            if (!isEntropyError(error, code)) return false;
          }
        }
      }
      return true;
    }),
    { numRuns: count(300, 10_000) },
  );
});

test('a wiped handshake accepts nobody: an all-zero key is one that anybody has', () => {
  const host = hostEnd();
  const feeder = feederEnd();
  host.readProof(feeder.answer(host.hello).proof);
  host.accepts(KEY);
  const { message } = host.welcome(TERMS);
  assert.throws(() => host.accepts(KEY), isA(TypeError));
  assert.throws(() => host.welcome(TERMS), isA(TypeError));
  feeder.wipe();
  assert.throws(() => feeder.finish(message), isA(TypeError));
});

test('the key of an enrolment stays the caller’s: it is used and left as it was', () => {
  const key = Buffer.from(KEY);
  feederEnd({ ...IDENTITY, key }).answer(hostEnd().hello);
  assert.equal(key, KEY);
  assert.is(HOST_ID.length, 16);
});

test.run();
