import { chmod } from 'node:fs/promises';
import type http from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../base/clock.ts';
import { EntropyError, messageOf } from '../base/errors.ts';
import type { Peer } from '../contract/control-service.ts';
import type { EventStream } from './event-stream.ts';
import { createListener, LISTENER_LIMITS, type ListenerLimits } from './http-listener.ts';
import type { HttpInterface } from './http-interface.ts';
import { prepareSocketPlace } from './socket-place.ts';

export interface ControlSocketOptions {
  readonly runtimeDirectory: string;
  readonly limits?: ListenerLimits;
  /** How long open requests may take to finish when the socket closes; 2 s unless told. */
  readonly drainMs?: number;
}

export interface ControlSocketDependencies {
  readonly routes: HttpInterface;
  /** User the daemon runs as. */
  readonly uid: number;
  /** SO_PEERCRED of a connection's descriptor; undefined on a host that cannot tell (no native addon). */
  readonly peerCredentials: ((fd: number) => PeerCredentials | undefined) | undefined;
  readonly clock: Clock;
}

export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
}

const DRAIN_MS = 2_000;

/** Group may connect; SO_PEERCRED then tells who may change. */
const MODE_WITH_CREDENTIALS = 0o660;
/** Without credentials the file's mode is the only guard: whoever connects is the owner or root. */
const MODE_WITHOUT_CREDENTIALS = 0o600;
const UMASK_OWNER_ONLY = 0o177;

/**
 * The control socket: `open` makes its place safe, listens and accepts; `close` drains within a bound.
 *
 *   open ─► place checked ─► bound 0600 ─► mode set ─► accepting ─► close: no new connections,
 *             └ runtime-dir-unusable, socket-path-too-long, state-in-use        streams told 1001, ≤ drainMs, dropped
 */
export class ControlSocket {
  readonly path: string;
  readonly #stream: EventStream;
  readonly #server: http.Server;
  readonly #clock: Clock;
  readonly #drainMs: number;
  #closing: Promise<void> | undefined;

  private constructor(
    path: string,
    parts: { readonly stream: EventStream; readonly server: http.Server },
    clock: Clock,
    drainMs: number,
  ) {
    this.path = path;
    this.#stream = parts.stream;
    this.#server = parts.server;
    this.#clock = clock;
    this.#drainMs = drainMs;
  }

  static async open(
    options: ControlSocketOptions,
    dependencies: ControlSocketDependencies,
  ): Promise<ControlSocket> {
    const path = await prepareSocketPlace(options.runtimeDirectory, dependencies.uid);
    const { app, peers } = dependencies.routes;
    const stream = dependencies.routes.eventStream();
    const server = createListener(app, stream, options.limits ?? LISTENER_LIMITS);
    server.on('connection', (socket) => peers.introduce(socket, peerBehind(socket, dependencies)));
    await listen(server, path);
    const told = dependencies.peerCredentials !== undefined;
    await chmod(path, told ? MODE_WITH_CREDENTIALS : MODE_WITHOUT_CREDENTIALS);
    return new ControlSocket(path, { stream, server }, dependencies.clock, options.drainMs ?? DRAIN_MS);
  }

  /** Stops accepting at once; resolves when every connection has ended, by itself or because its time was up. */
  close(): Promise<void> {
    this.#closing ??= this.#drain();
    return this.#closing;
  }

  async #drain(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#stream.close();
    this.#server.closeIdleConnections();
    const timeUp = this.#clock.after(this.#drainMs, () => {
      this.#stream.terminate();
      this.#server.closeAllConnections();
    });
    await closed;
    timeUp.cancel();
  }
}

/** Binds with a mask that leaves the socket to its owner, so that it never exists with a wider mode. */
function listen(server: http.Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.on('error', (error) => {
      reject(new EntropyError('runtime-dir-unusable', `cannot listen on ${path}: ${messageOf(error)}`));
    });
    server.once('listening', resolve);
    const mask = process.umask(UMASK_OWNER_ONLY);
    try {
      server.listen({ path });
    } finally {
      process.umask(mask);
    }
  });
}

function peerBehind(socket: Socket, { peerCredentials, uid }: ControlSocketDependencies): Peer {
  if (peerCredentials === undefined) return { name: 'owner of the control socket', access: 'change' };
  const fd = descriptorOf(socket);
  const peer = fd === undefined ? undefined : peerCredentials(fd);
  if (peer === undefined) return { name: 'peer without credentials', access: 'none' };
  const name = `uid ${peer.uid}, pid ${peer.pid}`;
  return { name, access: peer.uid === 0 || peer.uid === uid ? 'change' : 'read' };
}

/** Node has no public way to a socket's descriptor; its handle has had one for as long as there has been Node. */
function descriptorOf(socket: Socket): number | undefined {
  const handle: unknown = '_handle' in socket ? socket._handle : undefined;
  const fd: unknown = typeof handle === 'object' && handle !== null && 'fd' in handle ? handle.fd : undefined;
  return typeof fd === 'number' && fd >= 0 ? fd : undefined;
}
