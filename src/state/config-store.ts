import { EntropyError, isEntropyError } from '../base/errors.ts';
import {
  isParameterKey,
  PARAMETER_KEYS,
  PARAMETERS,
  parseChange,
  parseConfiguration,
  resolveConfiguration,
  type Configuration,
  type ConfigurationChange,
  type ConfigurationLayers,
  type ParameterKey,
  type PartialConfiguration,
  type ResolvedConfiguration,
} from '../contract/parameters.ts';
import { SerialQueue } from '../durable/serial-queue.ts';
import type { StateArchive } from './state-archive.ts';

/** A part that a change concerns. It refuses by throwing in `prepare`, and not later. */
export interface ConfigParticipant {
  /** Checks and reserves what `next` needs, without acting on it. */
  prepare(next: Configuration, previous: Configuration): Promise<PreparedChange>;
}

/** Exactly one of the two is called, once. Neither may fail. */
export interface PreparedChange {
  commit(): void;
  abort(): void;
}

/** The layers that the store itself does not keep. */
export type ConfigStoreOptions = Omit<ConfigurationLayers, 'store'>;

export interface ConfigStoreDependencies {
  readonly archive: StateArchive;
}

const DOCUMENT = 'config.json';
const VERSION = 1;

/** The configuration: layers resolved once, and changed as one piece or not at all. */
export class ConfigStore {
  readonly #options: ConfigStoreOptions;
  readonly #archive: StateArchive;
  readonly #participants: ConfigParticipant[] = [];
  readonly #queue = new SerialQueue();
  #stored: PartialConfiguration = {};
  #resolved: ResolvedConfiguration;
  #running: Configuration;
  #refused: EntropyError | undefined;

  private constructor(options: ConfigStoreOptions, dependencies: ConfigStoreDependencies) {
    this.#options = options;
    this.#archive = dependencies.archive;
    this.#resolved = this.#resolve(this.#stored);
    this.#running = this.#resolved.values;
  }

  /** Reads what is stored. When that cannot be had, flags, file and defaults are in force; see `refused`. */
  static open(options: ConfigStoreOptions, dependencies: ConfigStoreDependencies): ConfigStore {
    const store = new ConfigStore(options, dependencies);
    try {
      store.#load();
    } catch (error) {
      if (!isEntropyError(error)) throw error;
      store.#refused = error;
    }
    return store;
  }

  /** Why changes are refused; undefined when they are not. */
  get refused(): EntropyError | undefined {
    return this.#archive.refused ?? this.#refused;
  }

  /** No value is stored: all that is configured comes from flags, file and defaults. */
  get storesNothing(): boolean {
    return Object.keys(this.#stored).length === 0;
  }

  /** The values as configured now. */
  get values(): Configuration {
    return this.#resolved.values;
  }

  /** The values in force: those of kind `next-start` are as they were when the store was opened. */
  get running(): Configuration {
    return this.#running;
  }

  /** What the archive holds, overridden or not. */
  get stored(): PartialConfiguration {
    return this.#stored;
  }

  get origins(): ResolvedConfiguration['origins'] {
    return this.#resolved.origins;
  }

  /** From now on every change needs this part's consent. */
  register(participant: ConfigParticipant): void {
    this.#participants.push(participant);
  }

  /**
   * Changes some stored values (null: back to the default). Every part prepares, then the values become durable, then
   * every part commits; when anything refuses or fails, all is as before and that one error is thrown. Changes come
   * one after the other. A value that a flag or file overrides is stored but not in force; `origins` tells. Gives the
   * keys whose stored value is another now; without any, nothing is written and no part is asked.
   *
   * @param patch from outside: `parameter-unknown`, `parameter-invalid`
   * @param companions documents that become durable together with the values: a crash keeps all of it or nothing
   * @throws what a participant throws; `state-unwritable`; the error in `refused`; Error when a commit throws, which
   *   breaks an invariant: the process must end
   */
  change(patch: unknown, companions: ReadonlyMap<string, Uint8Array> = new Map()): Promise<ParameterKey[]> {
    return this.#queue.run(async () => {
      if (this.refused !== undefined) throw this.refused;
      const stored = apply(this.#stored, parseChange(patch));
      const changed = PARAMETER_KEYS.filter((key) => stored[key] !== this.#stored[key]);
      if (changed.length === 0 && companions.size === 0) return changed;
      const next = this.#resolve(stored);
      const prepared = await this.#prepareAll(next.values);
      try {
        const documents = [...companions, [DOCUMENT, encode(stored)] as const];
        await Promise.all(documents.map(([name, bytes]) => this.#archive.save(name, bytes)));
      } catch (error) {
        abortAll(prepared);
        throw error;
      }
      this.#stored = stored;
      this.#resolved = next;
      this.#running = live(this.#running, next.values);
      commitAll(prepared);
      return changed;
    });
  }

  #load(): void {
    const document = this.#archive.document(DOCUMENT);
    if (document === undefined) return;
    this.#stored = decode(document);
    this.#resolved = this.#resolve(this.#stored);
    this.#running = this.#resolved.values;
  }

  #resolve(store: PartialConfiguration): ResolvedConfiguration {
    return resolveConfiguration({ ...this.#options, store });
  }

  async #prepareAll(next: Configuration): Promise<PreparedChange[]> {
    const prepared: PreparedChange[] = [];
    try {
      for (const participant of this.#participants) {
        prepared.push(await participant.prepare(next, this.#resolved.values));
      }
      return prepared;
    } catch (error) {
      abortAll(prepared);
      throw error;
    }
  }
}

function apply(stored: PartialConfiguration, change: ConfigurationChange): PartialConfiguration {
  const merged = Object.entries({ ...stored, ...change }).filter(([, value]) => value !== null);
  return parseConfiguration(Object.fromEntries(merged));
}

/** The running values once a change of the configured ones is in force. */
function live(running: Configuration, configured: Configuration): Configuration {
  const liveKeys = PARAMETER_KEYS.filter((key) => PARAMETERS[key].kind === 'live');
  const changed: PartialConfiguration = Object.fromEntries(liveKeys.map((key) => [key, configured[key]]));
  return Object.freeze({ ...running, ...changed });
}

function commitAll(prepared: readonly PreparedChange[]): void {
  try {
    for (const change of prepared) change.commit();
  } catch (error) {
    throw new Error('broken invariant: a commit failed after the change was durable', { cause: error });
  }
}

function abortAll(prepared: readonly PreparedChange[]): void {
  for (const change of prepared.toReversed()) change.abort();
}

function encode(stored: PartialConfiguration): Buffer {
  return Buffer.from(`${JSON.stringify({ version: VERSION, values: stored }, null, 2)}\n`);
}

/** The archive vouches for the bytes: what does not fit can only have been written by another version. */
function decode(document: Buffer): PartialConfiguration {
  const content = parseJson(document);
  if (!isObject(content) || !Number.isInteger(content.version)) throw damaged('is not a configuration');
  if (content.version !== VERSION) throw newer(`has version ${String(content.version)}`);
  if (!isObject(content.values)) throw damaged('is not a configuration');
  if (!Object.keys(content.values).every(isParameterKey))
    throw newer('holds a parameter unknown to this version');
  try {
    return parseConfiguration(content.values);
  } catch (error) {
    throw damaged('holds a value out of its range', error);
  }
}

function parseJson(document: Buffer): unknown {
  try {
    return JSON.parse(document.toString('utf8'));
  } catch (error) {
    throw damaged('is not JSON', error);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function damaged(what: string, cause?: unknown): EntropyError {
  return new EntropyError('state-damaged', `${DOCUMENT} ${what}`, { cause });
}

function newer(what: string): EntropyError {
  return new EntropyError('state-version-newer', `${DOCUMENT} ${what}`);
}
