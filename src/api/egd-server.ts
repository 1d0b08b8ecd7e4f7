import { chmod } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import type { Clock } from '../base/clock.ts';
import type { Counters } from '../base/counters.ts';
import { EntropyError, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { ServedOutput } from '../service/served-output.ts';
import { EgdConnection, type EgdConnectionOptions } from './egd-connection.ts';
import { prepareSocketFile } from './socket-place.ts';

export interface EgdServerOptions extends EgdConnectionOptions {
  readonly runtimeDirectory: string;
  readonly maximumConnections: number;
}

/** All but where and who. */
export const EGD_DEFAULTS = {
  maximumConnections: 64,
  idleTimeoutMs: 60_000,
  blockingTimeoutMs: 60_000,
  blockingRetryMs: 250,
} as const;

export interface EgdServerDependencies {
  readonly output: ServedOutput;
  readonly clock: Clock;
  readonly counters: Counters;
  readonly log: Log;
}

const NAME = 'egd.sock';
/** Group may read random bytes, and mix its own in: neither can harm. */
const MODE = 0o660;
const UMASK_OWNER_ONLY = 0o177;

/** The EGD socket, `<runtime-dir>/egd.sock`, in a runtime directory that was made safe before. */
export class EgdServer {
  readonly path: string;
  readonly #server: net.Server;
  readonly #connections = new Set<EgdConnection>();

  private constructor(socketPath: string, options: EgdServerOptions, dependencies: EgdServerDependencies) {
    this.path = socketPath;
    this.#server = net.createServer({ allowHalfOpen: true }, (socket) => {
      const connection = new EgdConnection(options, { ...dependencies, socket });
      this.#connections.add(connection);
      socket.on('close', () => this.#connections.delete(connection));
      connection.begin();
    });
    this.#server.maxConnections = options.maximumConnections;
  }

  /** Throws `socket-path-too-long`, `runtime-dir-unusable`, `state-in-use`. */
  static async open(options: EgdServerOptions, dependencies: EgdServerDependencies): Promise<EgdServer> {
    const socketPath = path.join(options.runtimeDirectory, NAME);
    await prepareSocketFile(socketPath);
    const server = new EgdServer(socketPath, options, dependencies);
    await server.#listen();
    await chmod(socketPath, MODE);
    return server;
  }

  /** Accepts no more and drops every connection; a command has no end that is worth waiting for. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const connection of this.#connections) connection.end();
    await closed;
  }

  /** Binds with a mask that leaves the socket to its owner, so that it never exists with a wider mode. */
  #listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.on('error', (error) => {
        reject(
          new EntropyError('runtime-dir-unusable', `cannot listen on ${this.path}: ${messageOf(error)}`),
        );
      });
      this.#server.once('listening', resolve);
      const mask = process.umask(UMASK_OWNER_ONLY);
      try {
        this.#server.listen({ path: this.path });
      } finally {
        process.umask(mask);
      }
    });
  }
}
