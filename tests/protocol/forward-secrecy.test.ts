import { createDecipheriv, createHash, diffieHellman, hkdfSync } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { randomBytes } from '../../src/base/random.ts';
import { transcriptOf } from '../../src/protocol/handshake.ts';
import { parseHello, parseProof, parseWelcome } from '../../src/protocol/handshake-messages.ts';
import { privateKeyFrom, publicKeyFrom } from '../../src/protocol/raw-keys.ts';
import { deriveSessionKeys, type SessionKeys } from '../../src/protocol/session-keys.ts';
import { SeededStream, seededSource } from '../fakes/seeded-stream.ts';
import { handshake, KEY } from './feed-fixture.ts';

/**
 * Somebody records a session, and later steals the enrolled key. What he has: every byte of the wire, and the key. What was in the ends'
 * memory alone: two ephemeral private keys, and so their shared secret. This tries each key that he can make of what he has.
 */
const stream = new SeededStream('recorded session');
const wire = handshake('recorded');
const entropy = stream.bytes(4096);
const frames = [wire.feeder.sealer.seal(1, entropy), wire.host.sealer.seal(17, stream.bytes(20))];

function opens(key: Uint8Array, frame: Buffer): boolean {
  const nonce = Buffer.concat([Buffer.alloc(4), frame.subarray(1, 9)]);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: 16 });
  decipher.setAAD(frame.subarray(0, 9));
  decipher.setAuthTag(frame.subarray(-16));
  decipher.update(frame.subarray(9, -16));
  try {
    decipher.final();
    return true;
  } catch {
    return false;
  }
}

/** All that was ever sent in 32 bytes, the stolen key, and what a thief would put where he misses something. */
function guesses(): Buffer[] {
  const hello = parseHello(wire.hello);
  const proof = parseProof(wire.proof);
  const welcome = parseWelcome(wire.welcome);
  const transcript = transcriptOf(wire.hello, proof);
  const seen = [hello.receiptKey, hello.nonce, hello.ephemeral, proof.nonce, proof.ephemeral, proof.proof];
  const digests = [wire.hello, wire.proof, wire.welcome].map((one) =>
    createHash('sha256').update(one).digest(),
  );
  const all = [...seen, welcome.proof, transcript, ...digests, KEY, Buffer.alloc(32), Buffer.alloc(32, 255)];
  return all.map((bytes) => Buffer.from(bytes));
}

function keysFrom(sharedSecret: Buffer, key: Buffer, salt: Buffer): Buffer[] {
  const keys: SessionKeys = deriveSessionKeys(sharedSecret, key, salt);
  const material = Buffer.concat([sharedSecret, key]);
  return [...Object.values(keys), Buffer.from(hkdfSync('sha256', material, salt, '', 32))];
}

test('the recording and the stolen key open no frame', () => {
  const known = guesses();
  const transcript = transcriptOf(wire.hello, parseProof(wire.proof));
  let tried = 0;
  for (const sharedSecret of known)
    for (const key of known)
      for (const salt of [transcript, Buffer.alloc(32)])
        for (const candidate of [sharedSecret, ...keysFrom(sharedSecret, key, salt)])
          for (const frame of frames) {
            assert.not.ok(opens(candidate, frame));
            tried++;
          }
  assert.ok(tried >= 4000, `${tried} keys were tried`);
});

test('with an ephemeral private key as well, which nobody keeps, the same trial opens both frames', () => {
  const random = seededSource('recorded');
  const proof = parseProof(wire.proof);
  const hostEphemeral = privateKeyFrom('x25519', randomBytes(random, 32));
  const sharedSecret = diffieHellman({
    privateKey: hostEphemeral,
    publicKey: publicKeyFrom('x25519', proof.ephemeral),
  });
  const keys = keysFrom(sharedSecret, KEY, transcriptOf(wire.hello, proof));
  for (const frame of frames) assert.is(keys.filter((key) => opens(key, frame)).length, 1);
});

test('no byte of the entropy, of a key or of a secret is on the wire in the clear', () => {
  const recording = Buffer.concat([wire.hello, wire.proof, wire.welcome, ...frames]);
  assert.is(recording.indexOf(KEY), -1);
  assert.is(recording.indexOf(KEY.toString('hex')), -1);
  for (let at = 0; at + 8 <= entropy.length; at += 8)
    assert.is(recording.indexOf(entropy.subarray(at, at + 8)), -1);
});

test('two sessions of one key share no key', () => {
  const again = handshake('another day');
  const [first] = frames;
  assert.throws(() => again.host.opener.open(first!));
});

test.run();
