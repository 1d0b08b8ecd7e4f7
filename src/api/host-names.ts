import type { X509Certificate } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIP, isIPv4, isIPv6 } from 'node:net';
import { EntropyError } from '../base/errors.ts';
import { isLoopback, LOCALHOST } from './listen-address.ts';

export interface HostNamesOptions {
  /** The address that is listened on. */
  readonly host: string;
}

export interface HostNamesDependencies {
  /** The certificate that is presented now, if there is one. */
  readonly certificate: () => X509Certificate | undefined;
}

/**
 * The names under which this host may be asked. A page on the web that had its own name point here (DNS rebinding) sends that name
 * in the Host header; and browsers send the page's origin along. Either gives it away.
 *
 *   always            localhost, the loopback addresses
 *   with TLS          names and addresses of the certificate, the address listened on, the address the connection came in on
 *
 * An address cannot be rebound, so those are safe; names come from the certificate alone.
 */
export class HostNames {
  readonly #options: HostNamesOptions;
  readonly #dependencies: HostNamesDependencies;

  constructor(options: HostNamesOptions, dependencies: HostNamesDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
  }

  /** Throws `permission-denied` for a Host that is none of these, and for a foreign Origin. */
  assertOwn({ headers, socket }: Pick<IncomingMessage, 'headers' | 'socket'>): void {
    if (!this.isOwn(headers.host, socket.localAddress))
      throw new EntropyError('permission-denied', 'the Host header does not name this host');
    if (headers.origin !== undefined && !isSameOrigin(headers.origin, headers.host))
      throw new EntropyError('permission-denied', 'web pages may not connect (a foreign Origin header came)');
  }

  /** Whether a Host header names this host. The port is not compared: it may have been forwarded. */
  isOwn(header: string | undefined, localAddress: string | undefined): boolean {
    const parts = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]]+))(?::[0-9]{1,5})?$/.exec(header ?? '');
    const name = (parts?.[1] ?? parts?.[2] ?? '').toLowerCase();
    if (name === LOCALHOST || isLoopback(name)) return true;
    const certificate = this.#dependencies.certificate();
    // checkHost would take a wildcard for itself.
    if (name === '' || name.includes('*') || certificate === undefined) return false;
    if (isIP(name) === 0)
      return certificate.checkHost(name, { subject: 'never', partialWildcards: false }) !== undefined;
    const bound = [this.#options.host, localAddress ?? ''].map(plainAddress);
    return bound.includes(plainAddress(name)) || certificate.checkIP(name) !== undefined;
  }

  /**
   * The name or address that clients are told: one that the certificate holds for, the address listened on if it is one, so that a
   * client can check it.
   */
  get told(): string {
    const { host } = this.#options;
    const certificate = this.#dependencies.certificate();
    if (certificate === undefined || certificate.checkIP(host) !== undefined) return host;
    const names = (certificate.subjectAltName ?? '').split(', ');
    return firstOf(names, /^DNS:([\w.-]+)$/) ?? firstOf(names, /^IP Address:([\dA-Fa-f:.]+)$/) ?? host;
  }
}

function firstOf(names: readonly string[], pattern: RegExp): string | undefined {
  return names.flatMap((name) => pattern.exec(name)?.[1] ?? []).at(0);
}

/** One spelling for each address: an IPv4 address that came in on an IPv6 socket is one of IPv4. */
function plainAddress(address: string): string {
  const mapped = /^::ffff:([0-9.]+)$/i.exec(address)?.[1];
  if (mapped !== undefined && isIPv4(mapped)) return mapped;
  return isIPv6(address) ? new URL(`http://[${address.replace(/%.*/, '')}]`).hostname : address;
}

function isSameOrigin(origin: string, host: string | undefined): boolean {
  return host !== undefined && (origin === `http://${host}` || origin === `https://${host}`);
}
