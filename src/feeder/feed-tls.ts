import { timingSafeEqual, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { wipe } from '../base/bytes.ts';
import { messageOf } from '../base/errors.ts';
import {
  pinOf,
  readAuthorities,
  readTlsPair,
  TLS_RULES,
  type TlsPair,
  type TlsPairFiles,
} from '../base/tls-files.ts';
import { HostError } from './host-error.ts';

export interface FeedTlsOptions {
  /** Authorities to trust, in PEM, instead of those that Node.js brings. */
  readonly authoritiesFile?: string | undefined;
  /** SHA-256 of the host's SubjectPublicKeyInfo. Without authorities the chain, the dates and the names are not looked at. */
  readonly pin?: Uint8Array | undefined;
  /** What this end shows to a host that asks for a certificate. */
  readonly client?: TlsPairFiles | undefined;
}

/** How the host's end of TLS is recognised. */
export interface FeedTls {
  readonly context: SecureContext;
  readonly pin: Uint8Array | undefined;
  readonly checksChain: boolean;
}

/**
 * Reads what the options name.
 *
 * @throws EntropyError tls-file-unreadable, tls-file-invalid, key-file-exposed, tls-pair-mismatched, tls-certificate-expired
 */
export function openFeedTls({ authoritiesFile, pin, client }: FeedTlsOptions, nowMs: number): FeedTls {
  const ca = authoritiesFile === undefined ? undefined : readAuthorities(authoritiesFile);
  const pair = client === undefined ? undefined : readTlsPair(client, nowMs);
  try {
    const context = createSecureContext({ ...TLS_RULES, ...(ca !== undefined && { ca }), ...keyOf(pair) });
    return { context, pin, checksChain: pin === undefined || ca !== undefined };
  } finally {
    if (pair !== undefined) wipe(pair.key);
  }
}

/** A pin as 64 hexadecimal digits, with colons or without, or as `sha256//` and base64 as curl has it; undefined for what is none. */
export function parsePin(text: string): Buffer | undefined {
  const digits = text.replaceAll(':', '');
  if (/^[0-9a-fA-F]{64}$/.test(digits)) return Buffer.from(digits, 'hex');
  const base64 = /^sha256\/\/([A-Za-z0-9+/]{43}=)$/.exec(text)?.[1];
  return base64 === undefined ? undefined : Buffer.from(base64, 'base64');
}

/**
 * Connects, and hands the socket over only when the host is recognised: until then nothing is sent but the handshake. With an error, which
 * is `tls-untrusted`, `tls-pin-mismatched` or that of the connection, the socket is dead.
 */
export function connectTls(
  tls: FeedTls,
  place: { readonly host: string; readonly port: number },
  done: (error: Error | null, socket: TLSSocket) => void,
): TLSSocket {
  const socket = connect({
    ...place,
    secureContext: tls.context,
    servername: isIP(place.host) === 0 ? place.host : '',
    rejectUnauthorized: tls.checksChain,
    ALPNProtocols: ['http/1.1'],
  });
  const fail = (error: Error): void => {
    socket.on('error', () => undefined);
    socket.destroy();
    done(error, socket);
  };
  const failed = (error: Error): void => {
    const { authorizationError } = socket as { readonly authorizationError: unknown };
    const isUntrusted = authorizationError !== undefined && authorizationError !== null;
    fail(isUntrusted ? untrusted(authorizationError, error) : error);
  };
  socket.once('error', failed);
  socket.once('secureConnect', () => {
    if (!isPinned(socket, tls.pin))
      return fail(new HostError('tls-pin-mismatched', 'its key has another SHA-256'));
    socket.off('error', failed);
    done(null, socket);
  });
  return socket;
}

function isPinned(socket: TLSSocket, pin: Uint8Array | undefined): boolean {
  if (pin === undefined) return true;
  // Node.js 20 gives it once for each connection.
  const certificate = socket.getPeerX509Certificate();
  return certificate instanceof X509Certificate && timingSafeEqual(pinOf(certificate), pin);
}

function untrusted(check: unknown, error: Error): HostError {
  return new HostError('tls-untrusted', `${String(check)}: ${messageOf(error)}`);
}

function keyOf(pair: TlsPair | undefined): { readonly cert?: Buffer; readonly key?: Buffer } {
  return pair === undefined ? {} : { cert: pair.certificates, key: pair.key };
}
