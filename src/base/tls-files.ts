import { createHash, createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { wipe } from './bytes.ts';
import { EntropyError, errnoOf, messageOf } from './errors.ts';
import { filled } from './secret-file.ts';

/** PEM files of TLS, read and checked: what is wrong is said before anybody connects. */

export interface TlsPairFiles {
  /** Certificate in PEM; those of its issuers may follow. */
  readonly certificateFile: string;
  /** Private key in PEM, not encrypted; mode 0600, or 0640 when root owns it. */
  readonly keyFile: string;
}

export interface TlsPair {
  /** PEM, as the file has it. */
  readonly certificates: Buffer;
  /** PEM; whoever holds the pair wipes it once it is in a context. */
  readonly key: Buffer;
  readonly leaf: X509Certificate;
}

/** What a context of either end is made with: TLS 1.3, or 1.2 with forward secrecy and AEAD (RFC 9325 4.2). */
export const TLS_RULES = {
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.3',
  ciphers: [
    'TLS_AES_256_GCM_SHA384',
    'TLS_CHACHA20_POLY1305_SHA256',
    'TLS_AES_128_GCM_SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-RSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
    'ECDHE-RSA-CHACHA20-POLY1305',
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-RSA-AES128-GCM-SHA256',
  ].join(':'),
} as const satisfies SecureContextOptions;

/** Far more than a chain or a bundle of authorities has. */
const MAXIMUM_FILE_BYTES = 1024 * 1024;
const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
/** Anything for others, or for the group to write. */
const EXPOSED = 0o037;
const GROUP_READABLE = 0o040;
const ROOT = 0;

/**
 * A certificate with its key, fit to be used now.
 *
 * @throws EntropyError tls-file-unreadable, tls-file-invalid, key-file-exposed, tls-pair-mismatched, tls-certificate-expired
 */
export function readTlsPair({ certificateFile, keyFile }: TlsPairFiles, nowMs: number): TlsPair {
  const certificates = readFile(certificateFile, 'certificate');
  const [leaf] = certificatesIn(certificates, certificateFile);
  const key = readFile(keyFile, 'key');
  try {
    if (!leaf.checkPrivateKey(privateKeyIn(key, keyFile)))
      throw new EntropyError(
        'tls-pair-mismatched',
        `the key in ${keyFile} is not that of the certificate in ${certificateFile}`,
      );
    assertValidNow(leaf, certificateFile, nowMs);
    assertUsable({ cert: certificates, key }, certificateFile);
  } catch (error) {
    wipe(key);
    throw error;
  }
  return { certificates, key, leaf };
}

/** Certificates of authorities, in PEM. @throws EntropyError tls-file-unreadable, tls-file-invalid */
export function readAuthorities(file: string): Buffer {
  const bytes = readFile(file, 'certificate');
  certificatesIn(bytes, file);
  assertUsable({ ca: bytes }, file);
  return bytes;
}

/** The pin of a certificate: SHA-256 of its SubjectPublicKeyInfo in DER, 32 bytes (as in RFC 7469 2.4). */
export function pinOf({ publicKey }: X509Certificate): Buffer {
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest();
}

/** When a certificate ends, in milliseconds since 1970-01-01 UTC. */
export function validUntilMs({ validTo }: X509Certificate): number {
  return Date.parse(validTo);
}

function certificatesIn(bytes: Buffer, file: string): readonly [X509Certificate, ...X509Certificate[]] {
  try {
    const blocks = bytes.toString('latin1').match(PEM_CERTIFICATE) ?? [];
    const [leaf, ...issuers] = blocks.map((block) => new X509Certificate(block));
    if (leaf !== undefined) return [leaf, ...issuers];
  } catch (error) {
    throw new EntropyError('tls-file-invalid', `${file}: a certificate in it does not parse`, {
      cause: error,
    });
  }
  throw new EntropyError('tls-file-invalid', `${file} holds no certificate in PEM`);
}

/** What the parser says of a key is not passed on: it might quote it. */
function privateKeyIn(bytes: Buffer, file: string): KeyObject {
  try {
    return createPrivateKey({ key: bytes, format: 'pem' });
  } catch (error) {
    const isEncrypted = bytes.includes('ENCRYPTED') || errnoOf(error) === 'ERR_MISSING_PASSPHRASE';
    const why = isEncrypted ? 'its key is encrypted: store it without a passphrase' : 'no private key in PEM';
    throw new EntropyError('tls-file-invalid', `${file}: ${why}`);
  }
}

function assertValidNow(leaf: X509Certificate, file: string, nowMs: number): void {
  const { validFrom, validTo } = leaf;
  if (nowMs >= validUntilMs(leaf))
    throw new EntropyError('tls-certificate-expired', `${file}: valid until ${validTo}`);
  if (nowMs < Date.parse(validFrom))
    throw new EntropyError('tls-certificate-expired', `${file}: valid from ${validFrom} only`);
}

/** The rest of OpenSSL's rules, such as the smallest keys. */
function assertUsable(options: SecureContextOptions, file: string): void {
  try {
    createSecureContext({ ...TLS_RULES, ...options });
  } catch (error) {
    throw new EntropyError('tls-file-invalid', `${file} is refused by OpenSSL: ${messageOf(error)}`);
  }
}

function readFile(file: string, what: 'certificate' | 'key'): Buffer {
  const descriptor = opened(file);
  const bytes = Buffer.alloc(MAXIMUM_FILE_BYTES + 1);
  try {
    const { mode, uid, isRegular } = statsOf(descriptor);
    if (!isRegular) throw unreadable(file, 'it is no regular file');
    if (what === 'key') assertPrivate(file, mode, uid);
    const length = filled(descriptor, bytes);
    if (length > MAXIMUM_FILE_BYTES)
      throw new EntropyError('tls-file-invalid', `${file} is longer than ${MAXIMUM_FILE_BYTES} bytes`);
    const content = Buffer.alloc(length);
    bytes.copy(content);
    return content;
  } catch (error) {
    throw error instanceof EntropyError ? error : unreadable(file, errnoOf(error) ?? messageOf(error));
  } finally {
    if (what === 'key') wipe(bytes);
    closeSync(descriptor);
  }
}

function opened(file: string): number {
  try {
    return openSync(file, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    throw unreadable(file, errnoOf(error) ?? messageOf(error));
  }
}

function statsOf(descriptor: number): {
  readonly mode: number;
  readonly uid: number;
  readonly isRegular: boolean;
} {
  const stats = fstatSync(descriptor);
  return { mode: stats.mode, uid: stats.uid, isRegular: stats.isFile() };
}

/** A group may read what root owns, for hosts that keep keys in a group of their own (Debian's ssl-cert). */
function assertPrivate(file: string, mode: number, uid: number): void {
  const isExposed = (mode & EXPOSED) !== 0 || ((mode & GROUP_READABLE) !== 0 && uid !== ROOT);
  if (!isExposed) return;
  const shown = (mode & 0o777).toString(8).padStart(4, '0');
  throw new EntropyError(
    'key-file-exposed',
    `${file} has mode ${shown}; others than its owner can get at it`,
  );
}

function unreadable(file: string, why: string): EntropyError {
  return new EntropyError('tls-file-unreadable', `${file} cannot be read (${why})`);
}
