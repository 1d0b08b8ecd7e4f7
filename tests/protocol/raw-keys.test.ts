import { diffieHellman, sign, verify } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { privateKeyFrom, publicBytesOf, publicKeyFrom } from '../../src/protocol/raw-keys.ts';
import { isA } from '../rejects.ts';

function bytes(hex: string): Buffer {
  return Buffer.from(hex, 'hex');
}

test('X25519 as RFC 7748 works it out, section 6.1', () => {
  const bob = privateKeyFrom(
    'x25519',
    bytes('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb'),
  );
  const alice = bytes('8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a');
  assert.equal(publicBytesOf(bob), bytes('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f'));
  assert.equal(
    diffieHellman({ privateKey: bob, publicKey: publicKeyFrom('x25519', alice) }),
    bytes('4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742'),
  );
});

test('Ed25519 as RFC 8032 works it out, section 7.1, test 1', () => {
  const key = privateKeyFrom(
    'ed25519',
    bytes('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60'),
  );
  const publicBytes = bytes('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a');
  const signature = bytes(
    'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  );
  assert.equal(publicBytesOf(key), publicBytes);
  assert.equal(sign(null, Buffer.alloc(0), key), signature);
  assert.ok(verify(null, Buffer.alloc(0), publicKeyFrom('ed25519', publicBytes), signature));
});

test('a public key comes back as the bytes it was made from', () => {
  const one = bytes('4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742');
  assert.equal(publicBytesOf(publicKeyFrom('x25519', one)), one);
  assert.equal(publicBytesOf(publicKeyFrom('ed25519', one)), one);
});

test('keys have 32 bytes, and the secret ones stay as they were', () => {
  for (const length of [0, 31, 33]) {
    assert.throws(() => privateKeyFrom('x25519', Buffer.alloc(length)), isA(RangeError));
    assert.throws(() => publicKeyFrom('ed25519', Buffer.alloc(length)), isA(RangeError));
  }
  const secret = Buffer.alloc(32, 5);
  privateKeyFrom('x25519', secret);
  assert.equal(secret, Buffer.alloc(32, 5));
});

test.run();
