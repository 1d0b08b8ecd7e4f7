import { constants, createPublicKey, publicEncrypt, type KeyObject } from 'node:crypto';
import { EntropyError } from '../base/errors.ts';

/**
 * The recovery key for a fleet's vault: its line of text (id, blank, key, line end), encrypted by RSA-OAEP with SHA-256 (RFC 8017
 * section 7.1). The bytes are the ciphertext alone, so that stock OpenSSL opens them:
 *
 *   openssl pkeyutl -decrypt -inkey PRIVATE.pem -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 \
 *     -in recovery-key.oaep
 *
 * What is encrypted has 151 bytes, and OAEP with SHA-256 takes 190 under 2,048 bits.
 */
const MINIMUM_BITS = 2048;
const MAXIMUM_BITS = 8192;

/** Throws `recipient-refused` for anything but one RSA public key or certificate as PEM. */
export function recipientKey(pem: string): KeyObject {
  if (pem.includes('PRIVATE KEY'))
    throw refused('it is a private key, which belongs nowhere but in its vault');
  const labels = [...pem.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----/g)].map(([, label]) => label);
  if (labels.length !== 1 || !['PUBLIC KEY', 'RSA PUBLIC KEY', 'CERTIFICATE'].includes(labels[0] ?? ''))
    throw refused('it is not one public key or certificate as PEM');
  const key = parsed(pem);
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (key.asymmetricKeyType !== 'rsa')
    throw refused(`its type is ${key.asymmetricKeyType ?? 'unknown'}, not RSA`);
  if (bits < MINIMUM_BITS || bits > MAXIMUM_BITS) throw refused(`it has ${bits} bits`);
  return key;
}

/** The bytes of the escrow file. Throws as `recipientKey`. */
export function escrowed(line: Uint8Array, recipientPem: string): Buffer {
  return publicEncrypt(
    { key: recipientKey(recipientPem), padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' },
    line,
  );
}

function parsed(pem: string): KeyObject {
  try {
    return createPublicKey(pem);
  } catch (error) {
    throw new EntropyError('recipient-refused', 'the recipient is not a public key that can be read', {
      cause: error,
    });
  }
}

function refused(why: string): EntropyError {
  return new EntropyError('recipient-refused', `the recipient is refused: ${why}`);
}
