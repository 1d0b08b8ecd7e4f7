import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net';
import { EntropyError } from '../base/errors.ts';

/** Where the daemon listens. */
export interface ListenAddress {
  /** An address, never a name that has to be looked up. */
  readonly host: string;
  /** 0: the system chooses. */
  readonly port: number;
}

const MAXIMUM_PORT = 65_535;
/** RFC 6761 6.3 has `localhost` mean the loopback; it is not looked up, so no hosts file can make it mean another. */
export const LOCALHOST = 'localhost';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8);
loopback.addAddress('::1', 'ipv6');

/**
 * `HOST:PORT` with an address, `[::1]:PORT` or `localhost:PORT`; a loopback address unless there is TLS.
 * Throws `usage` for what is none, `listen-needs-tls` for any other address without TLS.
 */
export function parseListenAddress(text: string, { hasTls } = { hasTls: false }): ListenAddress {
  const parts = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]]+)):([0-9]{1,5})$/.exec(text);
  const port = Number(parts?.[3]);
  if (parts === null || port > MAXIMUM_PORT)
    throw new EntropyError('usage', 'an address to listen on is HOST:PORT, and [HOST]:PORT for IPv6');
  const name = parts[1] ?? parts[2] ?? '';
  const host = name === LOCALHOST ? '127.0.0.1' : name;
  if (isLoopback(host)) return { host, port };
  if (!hasTls)
    throw new EntropyError('listen-needs-tls', 'the address of --listen is not a loopback address');
  if (isIP(host) === 0)
    throw new EntropyError('usage', 'the host of --listen is an IP address, or localhost');
  return { host, port };
}

/** As it stands in URLs and in the address file. */
export function formatAddress({ host, port }: ListenAddress): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

export function isLoopback(address: string): boolean {
  if (isIPv4(address)) return loopback.check(address);
  return isIPv6(address) && loopback.check(address, 'ipv6');
}
