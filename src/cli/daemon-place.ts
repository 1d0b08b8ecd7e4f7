import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import type { ClientOptions } from 'ws';
import { EntropyError } from '../base/errors.ts';
import { TLS_RULES } from '../base/tls-files.ts';
import { controlSocketPath } from '../contract/directories.ts';

/** Where a daemon is called. */
export interface DaemonPlace {
  /** For people: the path of the socket, or the URL. */
  readonly name: string;
  /** Begins a request there; whoever began it sends it. */
  request(options: PlaceRequest): http.ClientRequest;
  /** A WebSocket on that path there. */
  webSocket(path: string): { readonly url: string; readonly options: ClientOptions };
}

export interface PlaceRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | number>>;
}

/** unix(7): a longer name would be cut in silence and mean another socket. */
const MAXIMUM_SOCKET_PATH_BYTES = 107;

/** The control socket of a daemon on this host. Throws `socket-path-too-long`. */
export function socketPlace(runtimeDirectory: string): DaemonPlace {
  const socketPath = controlSocketPath(runtimeDirectory);
  const lengthBytes = Buffer.byteLength(socketPath);
  if (lengthBytes > MAXIMUM_SOCKET_PATH_BYTES) {
    throw new EntropyError('socket-path-too-long', `${socketPath} has ${lengthBytes} bytes`);
  }
  return {
    name: socketPath,
    request: ({ headers, ...options }) =>
      http.request({ ...options, socketPath, agent: false, headers: { ...headers, host: 'localhost' } }),
    webSocket: (path) => ({
      url: `ws://localhost${path}`,
      options: { createConnection: () => net.connect(socketPath) },
    }),
  };
}

export interface ServerPlaceOptions {
  readonly url: string;
  /** Printable ASCII; undefined: only what is open to everybody is answered. */
  readonly token: Uint8Array | undefined;
  /** In PEM, instead of those that Node.js trusts. */
  readonly authorities: Buffer | undefined;
}

/** A daemon's listener. A token goes to a recognised host alone: over TLS, or to this host. Throws `usage`. */
export function serverPlace({ url: text, token, authorities }: ServerPlaceOptions): DaemonPlace {
  const url = originOf(text);
  const isSecure = url.protocol === 'https:';
  if (!isSecure && authorities !== undefined) throw new EntropyError('usage', '--ca is for https:// only');
  // A header is a string in Node.js: this copy of the token cannot be wiped, and ends with the process.
  const authorization =
    token === undefined ? {} : { authorization: `Bearer ${Buffer.from(token).toString('latin1')}` };
  // Said, so that no variable of the environment turns it off.
  const strict = { ...TLS_RULES, rejectUnauthorized: true };
  const tls = isSecure ? { ...strict, ...(authorities !== undefined && { ca: authorities }) } : {};
  const { request } = isSecure ? https : http;
  return {
    name: url.origin,
    request: ({ headers, path, ...options }) =>
      request(new URL(path, url), {
        ...options,
        ...tls,
        agent: false,
        headers: { ...headers, ...authorization },
      }),
    webSocket: (path) => ({
      url: new URL(path, url).href.replace(/^http/, 'ws'),
      options: { ...tls, headers: authorization },
    }),
  };
}

function originOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol) || url.href !== `${url.origin}/`)
    throw new EntropyError(
      'usage',
      '--server takes https://HOST:PORT, without a path or a name to log in with',
    );
  if (url.protocol === 'http:' && !isLoopback(url.hostname))
    throw new EntropyError(
      'usage',
      '--server takes http:// for this host alone: a token would go unprotected',
    );
  return url;
}

/** As URL.hostname has it: IPv4 in four decimal parts, IPv6 in brackets and compressed. */
function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}
