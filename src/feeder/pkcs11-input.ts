import { fileURLToPath } from 'node:url';
import type { Clock, Timer } from '../base/clock.ts';
import type { RandomSource } from '../base/random.ts';
import { EntropyError } from '../base/errors.ts';
import { BackOff } from './back-off.ts';
import type { ByteInput, InputWarning } from './byte-input.ts';
import { MAXIMUM_DRAW_BYTES } from './pkcs11-messages.ts';
import { Pkcs11Process, Pkcs11ProcessError } from './pkcs11-process.ts';

export interface Pkcs11InputOptions {
  /** Path of the vendor's shared library. */
  readonly module: string;
  /** Label of the token. */
  readonly token: string;
  readonly pinFile?: string;
  /** What the child and so the library sees, for the vendor's own variables; the PIN has no place there. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** How the child is run, without its arguments; by default the bundle beside this one. */
  readonly childCommand?: readonly string[];
  /** How long one answer may take; 10 s by default. */
  readonly timeoutMs?: number;
  /** Restarts in a row before the input gives up; 5 by default. */
  readonly maximumRestarts?: number;
}

export interface Pkcs11InputDependencies {
  readonly clock: Clock;
  readonly random: RandomSource;
  /** Told of each restart. */
  readonly warn: InputWarning;
}

const TIMEOUT_MS = 10_000;

const MAXIMUM_RESTARTS = 5;
const FIRST_RESTART_MS = 500;
const LONGEST_RESTART_MS = 10_000;

/**
 * An HSM or token by way of PKCS#11. The vendor's library runs in a child process: when that crashes, hangs or answers an error it is
 * started again, five times in a row at most. What is wrong from the start, and whatever has to do with the PIN, is not tried again.
 */
export class Pkcs11Input implements ByteInput {
  readonly description: string;
  readonly #options: Pkcs11InputOptions;
  readonly #clock: Clock;
  readonly #warn: InputWarning;
  readonly #backOff: BackOff;
  #process: Pkcs11Process | undefined;
  #waiting: { readonly timer: Timer; readonly wake: () => void } | undefined;
  #opened = false;
  #closed = false;

  constructor(options: Pkcs11InputOptions, dependencies: Pkcs11InputDependencies) {
    this.#options = options;
    this.#clock = dependencies.clock;
    this.#warn = dependencies.warn;
    this.#backOff = new BackOff({ firstMs: FIRST_RESTART_MS, longestMs: LONGEST_RESTART_MS }, dependencies);
    this.description = `pkcs11 ${options.module}, token "${options.token}"`;
  }

  /** The child's process id while there is one. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  async open(): Promise<void> {
    await this.#persist(() => this.#running().then(() => undefined));
    this.#opened = true;
  }

  async read(target: Uint8Array): Promise<number> {
    const wanted = target.subarray(0, MAXIMUM_DRAW_BYTES);
    await this.#persist(async () => (await this.#running()).draw(wanted));
    return this.#closed ? 0 : wanted.length;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#waiting?.timer.cancel();
    this.#waiting?.wake();
    await this.#endProcess();
  }

  /** Does the work, with a new child after each failure that is not final; gives up after five in a row. */
  async #persist(work: () => Promise<void>): Promise<void> {
    while (!this.#closed) {
      try {
        await work();
        this.#backOff.reset();
        return;
      } catch (error) {
        await this.#failed(error);
      }
    }
  }

  async #failed(error: unknown): Promise<void> {
    await this.#endProcess();
    if (this.#closed) return;
    if (!(error instanceof Pkcs11ProcessError) || error.kind === 'final') throw error;
    // A library that told why before it ever worked is told something wrong; one that crashed or hung may do better.
    if (!this.#opened && error.kind === 'told') throw error;
    const waitMs = this.#backOff.next();
    const maximumRestarts = this.#options.maximumRestarts ?? MAXIMUM_RESTARTS;
    if (this.#backOff.failures > maximumRestarts) {
      throw new EntropyError('pkcs11-failed', `${error.message}; ${maximumRestarts} restarts did not help`);
    }
    this.#warn(`${error.message}; the PKCS#11 child is started again`);
    await this.#pause(waitMs);
  }

  async #running(): Promise<Pkcs11Process> {
    if (this.#process !== undefined) return this.#process;
    const { module, token, pinFile, environment, timeoutMs } = this.#options;
    const command = [
      ...childCommand(this.#options),
      module,
      token,
      ...(pinFile === undefined ? [] : [pinFile]),
    ];
    const options = { command, environment, timeoutMs: timeoutMs ?? TIMEOUT_MS };
    this.#process = new Pkcs11Process(options, { clock: this.#clock });
    await this.#process.ready();
    return this.#process;
  }

  async #endProcess(): Promise<void> {
    const ending = this.#process;
    this.#process = undefined;
    await ending?.end();
  }

  /** Waits, or until the input is closed. */
  #pause(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting = { timer: this.#clock.after(waitMs, resolve), wake: resolve };
    });
  }
}

function childCommand(options: Pkcs11InputOptions): readonly string[] {
  return (
    options.childCommand ?? [process.execPath, fileURLToPath(new URL('./pkcs11-child.js', import.meta.url))]
  );
}
