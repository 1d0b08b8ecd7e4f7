import { sha512 } from './pool-model.ts';

const SEEDLEN_BYTES = 111;
const MODULUS = 1n << 888n;

/** Hash_DRBG with SHA-512 after SP 800-90A 10.1.1, written for clearness on node:crypto and BigInt. */
export class HashDrbgModel {
  v: Uint8Array;
  c: Uint8Array;
  counter = 1n;

  constructor(entropy: Uint8Array, nonce: Uint8Array, personalization: Uint8Array) {
    this.v = hashDf(entropy, nonce, personalization);
    this.c = hashDf(Uint8Array.of(0), this.v);
  }

  reseed(entropy: Uint8Array, additional: Uint8Array): void {
    this.v = hashDf(Uint8Array.of(1), this.v, entropy, additional);
    this.c = hashDf(Uint8Array.of(0), this.v);
    this.counter = 1n;
  }

  generate(length: number, additional: Uint8Array): Uint8Array {
    let v = toNumber(this.v);
    if (additional.length > 0) v = (v + toNumber(sha512(Uint8Array.of(2), this.v, additional))) % MODULUS;
    const output = new Uint8Array(Math.ceil(length / 64) * 64);
    for (let at = 0, data = v; at < length; at += 64, data = (data + 1n) % MODULUS) {
      output.set(sha512(toBytes(data)), at);
    }
    const h = toNumber(sha512(Uint8Array.of(3), toBytes(v)));
    this.v = toBytes((v + h + toNumber(this.c) + this.counter) % MODULUS);
    this.counter++;
    return output.subarray(0, length);
  }
}

function hashDf(...parts: readonly Uint8Array[]): Uint8Array {
  const digests = [1, 2].map((counter) =>
    sha512(Uint8Array.of(counter, 0, 0, 888 >> 8, 888 & 255), ...parts),
  );
  return Uint8Array.from(Buffer.concat(digests)).subarray(0, SEEDLEN_BYTES);
}

function toNumber(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
}

function toBytes(value: bigint): Uint8Array {
  return Uint8Array.from(Buffer.from(value.toString(16).padStart(SEEDLEN_BYTES * 2, '0'), 'hex'));
}
