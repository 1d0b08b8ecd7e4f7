import { wipe } from '../base/bytes.ts';
import type { Portion } from './origin.ts';
import { openRecords } from './segment-format.ts';
import type { StoredSegment } from './storage-scan.ts';
import { bytesOf, sizeOf } from './storage-shares.ts';
import { isRefusal, type StorageState } from './storage-state.ts';

/** What a segment holds, with its key still in force: nothing of it may be used before that is gone. */
export interface LoadedSegment {
  readonly stored: StoredSegment;
  readonly portions: readonly Portion[];
  /** Why that is not all; empty when it is. */
  readonly reason: string;
}

const ATTEMPTS = 2;
/** How many other segments are asked whether it is the disk that cannot be read. */
const WITNESSES = 4;

/** Reads what is about to be spent, so that a disk that cannot be read costs no key. */
export class SegmentReader {
  readonly #state: StorageState;

  constructor(dependencies: { readonly state: StorageState }) {
    this.#state = dependencies.state;
  }

  /**
   * The portions, which the caller wipes. What still lacks when it was read twice is lost, and the reason is given. Only when
   * others can be read, though: `state-unreadable` otherwise.
   */
  async load(stored: StoredSegment): Promise<LoadedSegment> {
    let portions: readonly Portion[] = [];
    let reason = '';
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      try {
        for (const { bytes } of portions) wipe(bytes);
        portions = await this.#read(stored);
        if (sizeOf(portions) === bytesOf(stored.shares)) return { stored, portions, reason: '' };
        reason = `segment ${stored.segment} does not open as a whole any more`;
      } catch (error) {
        if (!isRefusal(error)) throw error;
        portions = [];
        reason = `segment ${stored.segment}: ${error.message}`;
        if (!(await this.#canReadOthers(stored.segment))) throw error;
      }
    }
    return { stored, portions, reason };
  }

  async #read({ segment, endBytes }: StoredSegment): Promise<readonly Portion[]> {
    const volume = this.#state.openedVolume();
    const image = await volume.readSegments(segment, endBytes);
    const seal = { key: volume.keys.keyOf(segment), cacheId: volume.cacheId, segment };
    return openRecords(seal, image).portions;
  }

  /** Asks segments that lie far from this one and from each other. */
  async #canReadOthers(segment: number): Promise<boolean> {
    const volume = this.#state.openedVolume();
    const { segmentCount } = volume;
    for (let witness = 1; witness <= WITNESSES; witness++) {
      const other = (segment + Math.ceil((witness * segmentCount) / (WITNESSES + 1))) % segmentCount;
      if (other === segment) continue;
      const image = await volume
        .readSegments(other, this.#state.geometry.segmentBytes)
        .catch(() => undefined);
      if (image !== undefined) return true;
    }
    return false;
  }
}
