import { createHash } from 'node:crypto';
import { delay, withTimeout, type Clock } from '../base/clock.ts';
import { EntropyError } from '../base/errors.ts';
import { COMMAND, HANDLE, TAG } from './codes.ts';
import { decodeResponseCode, TpmRefusal } from './response-code.ts';
import { HEADER_BYTES, MAXIMUM_BYTES, type TpmTransport } from './transport.ts';
import { malformed, TpmReader, TpmWriter } from './wire.ts';

export type CommandName = keyof typeof COMMAND;

/** A handle, with the Name that authorizations are computed over: the handle itself for all but objects and NV indices. */
export interface NamedHandle {
  readonly handle: number;
  readonly name: Buffer;
}

/** What stands for a handle that needs an authorization: a password or a session. */
export interface Authorization {
  /** The parameters as they go over the bus: a session may hide the first one. */
  hide(parameters: Buffer): Buffer;
  /** TPMS_AUTH_COMMAND over the command's digest (cpHash). */
  authorize(cpHash: Buffer): Buffer;
  /** Checks TPMS_AUTH_RESPONSE over the response's digest (rpHash), and shows a hidden first parameter. @throws EntropyError tpm-protocol */
  accept(rpHash: Buffer, authorization: TpmReader, parameters: Buffer): Buffer;
}

export interface TpmCommand {
  /** Their authorizations come first; the rest of the handles follows. */
  readonly handles?: readonly NamedHandle[];
  readonly authorization?: Authorization;
  readonly parameters?: Buffer;
}

export interface TpmAnswer {
  readonly parameters: TpmReader;
  /** The handle of what was made; 0 where the command makes none. */
  readonly handle: number;
}

/** Commands whose response begins with a handle. */
const GIVES_HANDLE: ReadonlySet<CommandName> = new Set(['createPrimary', 'load', 'startAuthSession']);
const RETRIES = 5;
const FIRST_RETRY_MS = 20;
/** The slowest command is CreatePrimary; part 1 of the PC Client profile allows none more than a few seconds. */
const TIMEOUT_MS = 10_000;

/** Sends commands, one at a time, and takes responses apart. Once a time has run out the channel is closed: nobody knows what comes. */
export class CommandChannel {
  readonly #transport: TpmTransport;
  readonly #clock: Clock;
  #tail: Promise<unknown> = Promise.resolve();
  #closed: EntropyError | undefined;

  constructor(dependencies: { readonly transport: TpmTransport; readonly clock: Clock }) {
    this.#transport = dependencies.transport;
    this.#clock = dependencies.clock;
  }

  /** @throws EntropyError tpm-timeout, tpm-protocol, tpm-version, tpm-absent; TpmRefusal */
  run(name: CommandName, command: TpmCommand = {}): Promise<TpmAnswer> {
    const turn = this.#tail.then(() => this.#runPatiently(name, command));
    this.#tail = turn.catch(() => undefined);
    return turn;
  }

  async close(): Promise<void> {
    this.#closed ??= new EntropyError('tpm-absent', 'the connection to the TPM is closed');
    await this.#transport.close();
  }

  /** A TPM may ask to be asked again. A command with a session is made anew: its nonce is used once. */
  async #runPatiently(name: CommandName, command: TpmCommand): Promise<TpmAnswer> {
    for (let attempt = 1, waitMs = FIRST_RETRY_MS; ; attempt++, waitMs *= 2) {
      try {
        return await this.#runOnce(name, command);
      } catch (error) {
        const again = error instanceof TpmRefusal && ASK_AGAIN.has(error.response.name);
        if (!again || attempt > RETRIES) throw error;
        await delay(this.#clock, waitMs);
      }
    }
  }

  async #runOnce(name: CommandName, command: TpmCommand): Promise<TpmAnswer> {
    if (this.#closed !== undefined) throw this.#closed;
    const { bytes, code } = encode(name, command);
    const work = this.#transport.exchange(bytes).finally(() => bytes.fill(0));
    const response = await withTimeout(this.#clock, TIMEOUT_MS, work, () => this.#giveUp(name));
    return decode(name, code, command, response);
  }

  #giveUp(name: CommandName): EntropyError {
    this.#closed ??= new EntropyError('tpm-timeout', `${name}: no answer within ${TIMEOUT_MS / 1000} s`);
    void this.#transport.close().catch(() => undefined);
    return this.#closed;
  }
}

const ASK_AGAIN: ReadonlySet<string> = new Set(['RETRY', 'YIELDED', 'TESTING', 'NV_RATE']);

/** The empty password: for what has no authorization value. Nothing secret goes with it. */
export const EMPTY_PASSWORD: Authorization = {
  hide: (parameters) => parameters,
  authorize: () => new TpmWriter().u32(HANDLE.password).u16(0).u8(1).u16(0).bytes(),
  accept: (_rpHash, authorization, parameters) => {
    authorization.sized(0);
    authorization.u8();
    authorization.sized(0);
    return parameters;
  },
};

/** A handle whose Name is itself: hierarchies, PCRs, sessions (part 1, 16). */
export function selfNamed(handle: number): NamedHandle {
  return { handle, name: new TpmWriter().u32(handle).bytes() };
}

function encode(name: CommandName, command: TpmCommand): { bytes: Buffer; code: Buffer } {
  const { handles = [], authorization, parameters = Buffer.alloc(0) } = command;
  const code = new TpmWriter().u32(COMMAND[name]).bytes();
  const body = new TpmWriter();
  for (const { handle } of handles) body.u32(handle);
  const sent = authorization?.hide(parameters) ?? parameters;
  if (authorization !== undefined) {
    const cpHash = sha256(code, ...handles.map((one) => one.name), sent);
    const area = authorization.authorize(cpHash);
    body.u32(area.length).raw(area);
  }
  const rest = body.raw(sent).bytes();
  const tag = authorization === undefined ? TAG.noSessions : TAG.sessions;
  const bytes = new TpmWriter()
    .u16(tag)
    .u32(HEADER_BYTES + rest.length)
    .raw(code)
    .raw(rest)
    .bytes();
  if (bytes.length > MAXIMUM_BYTES) throw new RangeError('more than a TPM command holds');
  return { bytes, code };
}

function decode(name: CommandName, code: Buffer, command: TpmCommand, response: Buffer): TpmAnswer {
  const reader = new TpmReader(response);
  const tag = reader.u16();
  const sizeBytes = reader.u32();
  const result = reader.u32();
  if (sizeBytes !== response.length) throw malformed('has a wrong size');
  if (tag === TAG.tpm12) throw new EntropyError('tpm-version', 'the device answers as a TPM 1.2 does');
  if (result !== 0) throw new TpmRefusal(name, decodeResponseCode(result));
  if (tag !== (command.authorization === undefined ? TAG.noSessions : TAG.sessions))
    throw malformed('has a wrong tag');
  const handle = GIVES_HANDLE.has(name) ? reader.u32() : 0;
  if (command.authorization === undefined) return { handle, parameters: new TpmReader(reader.rest()) };
  const parameters = reader.raw(reader.count(MAXIMUM_BYTES));
  const rpHash = sha256(Buffer.alloc(4), code, parameters);
  const shown = command.authorization.accept(rpHash, reader, parameters);
  reader.end();
  return { handle, parameters: new TpmReader(shown) };
}

function sha256(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}
