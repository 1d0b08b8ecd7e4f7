import type { Clock, Timer } from '../base/clock.ts';
import { isEntropyError } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import { MS_PER_SECOND } from '../base/units.ts';
import type { StateArchive } from '../state/state-archive.ts';

export interface ArchiveBackupDependencies {
  readonly archive: StateArchive;
  readonly clock: Clock;
  readonly events: EventSink;
}

const INTERVAL_MS = 3600 * MS_PER_SECOND;

/**
 * Writes the archive every hour and at an orderly stop, as ESXi does. Changes are written as they are made; this renews the
 * envelope's keys, and shows a disk that has become unwritable before a change needs it.
 */
export class ArchiveBackup {
  readonly #dependencies: ArchiveBackupDependencies;
  #timer: Timer;
  #closed = false;

  constructor(dependencies: ArchiveBackupDependencies) {
    this.#dependencies = dependencies;
    this.#timer = this.#next();
  }

  /** A last time, unless the archive was refused; a failure is told, and stops nothing. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer.cancel();
    await this.#write();
  }

  #next(): Timer {
    return this.#dependencies.clock.after(INTERVAL_MS, () => {
      void this.#write().then(() => {
        if (!this.#closed) this.#timer = this.#next();
      });
    });
  }

  async #write(): Promise<void> {
    const { archive, events } = this.#dependencies;
    if (archive.refused !== undefined) return;
    try {
      await archive.backup();
    } catch (error) {
      if (!isEntropyError(error)) throw error;
      events.emit('state.backup.failed', { code: error.code, because: error.message });
    }
  }
}
