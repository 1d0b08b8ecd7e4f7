import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { EntropyError, errnoOf, messageOf } from '../base/errors.ts';
import { malformed } from './wire.ts';

/** Carries one command at a time to a TPM, and gives its whole response, of HEADER_BYTES to MAXIMUM_BYTES. */
export interface TpmTransport {
  exchange(command: Uint8Array): Promise<Buffer>;
  close(): Promise<void>;
}

/** tag u16 ‖ size u32 ‖ code u32 */
export const HEADER_BYTES = 10;
/** TPM_PT_MAX_RESPONSE_SIZE of every TPM that is known; the kernel's own buffer has this size. */
export const MAXIMUM_BYTES = 4096;

export const SWTPM_PREFIX = 'swtpm:';

/**
 * `/dev/tpmrm0`, or `swtpm:SOCKET` for a software TPM's Unix socket.
 *
 * @throws EntropyError tpm-absent, tpm-permission, tpm-busy, tpm-protocol
 */
export async function openTransport(path: string): Promise<TpmTransport> {
  try {
    return path.startsWith(SWTPM_PREFIX)
      ? await SocketTransport.open(path.slice(SWTPM_PREFIX.length))
      : await DeviceTransport.open(path);
  } catch (error) {
    throw transportError(error, path);
  }
}

/** A system error in terms of the TPM; other errors as they are. */
export function transportError(error: unknown, path: string): unknown {
  const errno = errnoOf(error);
  if (errno === undefined || error instanceof EntropyError) return error;
  const told = (code: 'tpm-absent' | 'tpm-permission' | 'tpm-busy' | 'tpm-protocol'): EntropyError =>
    new EntropyError(code, `${path}: ${messageOf(error)}`, { cause: error });
  switch (errno) {
    case 'ENOENT':
    case 'ENODEV':
    case 'ENXIO':
    case 'ECONNREFUSED':
      return told('tpm-absent');
    case 'EACCES':
    case 'EPERM':
      return told('tpm-permission');
    case 'EBUSY':
      return told('tpm-busy');
    default:
      return told('tpm-protocol');
  }
}

/**
 * A character device: one write is one command, and the read after it waits for the response and takes it whole. Both block in a
 * thread of their own, so a TPM that never answers delays nothing but this.
 */
class DeviceTransport implements TpmTransport {
  readonly #path: string;
  readonly #file: FileHandle;

  private constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  static async open(path: string): Promise<DeviceTransport> {
    const file = await open(path, constants.O_RDWR | constants.O_NOCTTY);
    if (!(await file.stat()).isFile()) return new DeviceTransport(path, file);
    await file.close();
    throw new EntropyError('tpm-absent', `${path} is a file, not a TPM`);
  }

  async exchange(command: Uint8Array): Promise<Buffer> {
    try {
      const { bytesWritten } = await this.#file.write(command);
      if (bytesWritten !== command.length) throw malformed('took part of a command only');
      const response = Buffer.alloc(MAXIMUM_BYTES);
      const { bytesRead } = await this.#file.read(response, 0, MAXIMUM_BYTES, null);
      return response.subarray(0, bytesRead);
    } catch (error) {
      throw transportError(error, this.#path);
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

/** swtpm's data channel: commands and responses follow each other, each with its size in its header. */
class SocketTransport implements TpmTransport {
  readonly #socket: Socket;
  #received = Buffer.alloc(0);
  #waiting: { resolve(response: Buffer): void; reject(error: Error): void } | undefined;
  #lost: Error | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (bytes) => this.#receive(bytes));
    socket.on('error', (error) => this.#lose(error));
    socket.on('close', () => this.#lose(new EntropyError('tpm-absent', 'the connection to the TPM ended')));
  }

  static open(path: string): Promise<SocketTransport> {
    return new Promise((resolve, reject) => {
      const socket = connect(path);
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new SocketTransport(socket));
      });
    });
  }

  exchange(command: Uint8Array): Promise<Buffer> {
    if (this.#waiting !== undefined) throw new RangeError('one command at a time');
    return new Promise((resolve, reject) => {
      if (this.#lost !== undefined) {
        reject(this.#lost);
        return;
      }
      this.#waiting = { resolve, reject };
      this.#socket.write(command);
    });
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#socket.destroyed) {
        resolve();
        return;
      }
      this.#socket.once('close', () => resolve());
      this.#socket.destroy();
    });
  }

  #receive(bytes: Buffer): void {
    this.#received = Buffer.concat([this.#received, bytes]);
    if (this.#received.length < HEADER_BYTES) return;
    const sizeBytes = this.#received.readUInt32BE(2);
    if (sizeBytes < HEADER_BYTES || sizeBytes > MAXIMUM_BYTES || this.#received.length > sizeBytes) {
      this.#lose(malformed('has a wrong size'));
      this.#socket.destroy();
      return;
    }
    if (this.#received.length < sizeBytes) return;
    const response = this.#received;
    this.#received = Buffer.alloc(0);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve(response);
  }

  #lose(error: Error): void {
    this.#lost ??= error;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(this.#lost);
  }
}
