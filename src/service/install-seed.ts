import { messageOf } from '../base/errors.ts';
import type { EventBus } from '../base/events.ts';
import type { Log } from '../base/log.ts';
import { CREDIT_UNITS_PER_BIT } from '../base/units.ts';
import type { InstallSeedReport } from '../contract/install-seed.ts';
import { encodeInstallRecord, INSTALL_RECORD, type InstallRecord } from '../state/install-record.ts';
import type { StateArchive } from '../state/state-archive.ts';

export interface InstallSeedOptions {
  /** Undefined when the state was not installed from a kickstart. */
  readonly record: InstallRecord | undefined;
  /** The engine draws from it. */
  readonly inUse: boolean;
  /** What is left while it is not in use; undefined when its area cannot be read. */
  readonly keptBytes: number | undefined;
}

export interface InstallSeedDependencies {
  readonly archive: StateArchive;
  readonly bus: EventBus;
  readonly log: Log;
}

/** The install seed as it is told of; once it is used up the archive remembers that, and its area is never opened again. */
export class InstallSeed {
  readonly #options: InstallSeedOptions;
  readonly #archive: StateArchive;
  readonly #log: Log;
  #record: InstallRecord | undefined;

  constructor(options: InstallSeedOptions, dependencies: InstallSeedDependencies) {
    this.#options = options;
    this.#archive = dependencies.archive;
    this.#log = dependencies.log;
    this.#record = options.record;
    const { bus } = dependencies;
    // It may have been found empty before anybody listened.
    if (bus.since(0).records.some(({ id }) => id === 'install.seed.used')) this.#usedUp();
    bus.subscribe(({ id }) => {
      if (id === 'install.seed.used') this.#usedUp();
    });
  }

  /** @param inUseBytes what the engine says is left */
  report(inUseBytes: number): InstallSeedReport {
    const { installedMs = null, sources = null, seed = null } = this.#record ?? {};
    if (seed === null)
      return {
        state: 'none',
        installedMs,
        sources,
        seedBytes: 0,
        leftBytes: 0,
        bitsPerByte: 0,
        fingerprint: '',
      };
    const { bytes: seedBytes, fingerprint, rateUnits } = seed;
    const common = {
      installedMs,
      sources,
      seedBytes,
      bitsPerByte: rateUnits / CREDIT_UNITS_PER_BIT,
      fingerprint,
    };
    if (seed.usedUp) return { state: 'used-up', leftBytes: 0, ...common };
    if (this.#options.inUse) return { state: 'in-use', leftBytes: inUseBytes, ...common };
    return { state: 'kept', leftBytes: this.#options.keptBytes ?? null, ...common };
  }

  /** Should this not become durable, the next start finds the area empty and tells it again. */
  #usedUp(): void {
    const { seed = null } = this.#record ?? {};
    if (this.#record === undefined || seed === null || seed.usedUp) return;
    this.#record = { ...this.#record, seed: { ...seed, usedUp: true } };
    this.#archive.save(INSTALL_RECORD, encodeInstallRecord(this.#record)).catch((error: unknown) => {
      this.#log.warn('that the install seed is used up could not be recorded', { because: messageOf(error) });
    });
  }
}
