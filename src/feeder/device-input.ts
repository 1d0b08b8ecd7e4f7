import { constants } from 'node:fs';
import { open, readFile, type FileHandle } from 'node:fs/promises';
import type { Clock } from '../base/clock.ts';
import { delay } from '../base/clock.ts';
import { EntropyError, errnoOf } from '../base/errors.ts';
import type { ByteInput, InputWarning } from './byte-input.ts';
import { inputError } from './file-input.ts';
import {
  type DeviceNumber,
  deviceNumberOf,
  isHardwareGenerator,
  refuseRandomDevice,
} from './random-device.ts';

export interface DeviceInputOptions {
  readonly path: string;
  /** Where the kernel names the generator it reads by itself; another place in tests. */
  readonly currentGeneratorPath?: string;
}

export interface DeviceInputDependencies {
  readonly clock: Clock;
  readonly warn: InputWarning;
}

const CURRENT_GENERATOR_PATH = '/sys/class/misc/hw_random/rng_current';

/** A device that has nothing yet is asked again after 2 ms, then twice as long each time, up to 50 ms. */
const FIRST_WAIT_MS = 2;
const LONGEST_WAIT_MS = 50;

/**
 * A character device that gives entropy. It is opened without blocking and asked again while it has nothing: a read that waits in
 * the kernel could not be ended, and would keep the program from exiting.
 */
export class DeviceInput implements ByteInput {
  readonly description: string;
  readonly #path: string;
  readonly #currentGeneratorPath: string;
  readonly #clock: Clock;
  readonly #warn: InputWarning;
  #file: FileHandle | undefined;

  constructor(options: DeviceInputOptions, dependencies: DeviceInputDependencies) {
    this.#path = options.path;
    this.#currentGeneratorPath = options.currentGeneratorPath ?? CURRENT_GENERATOR_PATH;
    this.#clock = dependencies.clock;
    this.#warn = dependencies.warn;
    this.description = `device ${options.path}`;
  }

  async open(): Promise<void> {
    try {
      this.#file = await open(this.#path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
      const device = deviceNumberOf(await this.#file.stat({ bigint: true }));
      if (device === undefined)
        throw new EntropyError('input-failed', `${this.#path} is no character device; feed it as: file PATH`);
      refuseRandomDevice(device, this.description);
      await this.#warnOfDoubleCounting(device);
    } catch (error) {
      await this.close();
      throw inputError(error, this.description);
    }
  }

  async read(target: Uint8Array): Promise<number> {
    for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS)) {
      const file = this.#file;
      if (file === undefined) return 0;
      try {
        return (await file.read(target, 0, target.length, null)).bytesRead;
      } catch (error) {
        if (errnoOf(error) !== 'EAGAIN') throw inputError(error, this.description);
      }
      await delay(this.#clock, waitMs);
    }
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  /** What the kernel reads by itself it also credits by itself: on this same host the bytes would count twice. */
  async #warnOfDoubleCounting(device: DeviceNumber): Promise<void> {
    if (!isHardwareGenerator(device)) return;
    const name = (await readFile(this.#currentGeneratorPath, 'utf8').catch(() => '')).trim();
    if (name === '' || name === 'none') return;
    this.#warn(
      `the kernel of this host reads ${name} through its own hwrng thread: fed back here, it counts twice`,
    );
  }
}
