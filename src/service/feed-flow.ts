import type { Clock, Timer } from '../base/clock.ts';
import { EntropyError } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import { MS_PER_SECOND } from '../base/units.ts';
import type { FeederRecord } from '../state/feeder-record.ts';
import type { FeedConnection } from './feeder-visit.ts';
import { GRANT_DEFAULTS, GrantLedger, type GrantOptions, type Sendable } from './grants.ts';
import { LinkWatch, type LinkName } from './link-watch.ts';

export interface FeedFlowOptions {
  /** Whether external entropy is in the mask; without it nothing is granted and no link is watched. */
  readonly isEnabled: boolean;
  readonly lostTimeoutSeconds: number;
  readonly limits: { readonly bytesPerSecond: number; readonly framesPerSecond: number };
  readonly grants?: GrantOptions;
}

export interface FeedFlowDependencies {
  readonly clock: Clock;
  readonly events: EventSink;
}

/** How often grants are looked at when nothing happens: some lapse, and some rates allow more only with time. */
const GRANT_CHECK_MS = 1_000;

/** The flow of entropy from the connected feeders: what each may send, and whether it does. */
export class FeedFlow {
  readonly #options: FeedFlowOptions;
  readonly #clock: Clock;
  readonly #grants: GrantLedger;
  readonly #links: LinkWatch | undefined;
  readonly #connections = new Map<number, FeedConnection>();
  #timer: Timer | undefined;

  constructor(options: FeedFlowOptions, dependencies: FeedFlowDependencies) {
    this.#options = options;
    this.#clock = dependencies.clock;
    this.#grants = new GrantLedger(options.grants ?? GRANT_DEFAULTS);
    const timeoutMs = options.lostTimeoutSeconds * MS_PER_SECOND;
    this.#links = options.isEnabled ? new LinkWatch({ timeoutMs }, dependencies) : undefined;
  }

  get hostLink(): LinkName {
    return this.#links?.hostState ?? 'never';
  }

  linkOf(id: number): {
    readonly link: LinkName;
    readonly address: string;
    readonly lastHeardMs: number | null;
  } {
    const links = this.#links;
    if (links === undefined) return { link: 'never', address: '', lastHeardMs: null };
    return { link: links.stateOf(id), address: links.addressOf(id), lastHeardMs: links.lastHeardMs(id) };
  }

  watch({ id, name }: FeederRecord): void {
    this.#links?.add(id, name);
  }

  unwatch(id: number): void {
    this.#links?.remove(id);
  }

  reconfigure(lostTimeoutSeconds: number): void {
    this.#links?.reconfigure({ timeoutMs: lostTimeoutSeconds * MS_PER_SECOND });
  }

  /** A feeder is there, and gets what it may send. */
  join(record: FeederRecord, connection: FeedConnection): void {
    const { isEnabled, limits } = this.#options;
    this.#links?.heard(record.id, connection, isCached(record));
    const terms = {
      weight: record.weight,
      isCached: isCached(record),
      isEnabled,
      bytesPerSecond: record.maximumBytesPerSecond ?? limits.bytesPerSecond,
      framesPerSecond: limits.framesPerSecond,
    };
    this.#connections.set(record.id, connection);
    this.#grants.join(record.id, terms, this.#clock.monotonicMs());
    this.#offer(record.id);
    this.#arm();
  }

  /** A feeder is gone: what it was granted is for the others. */
  leave({ id }: FeederRecord): void {
    this.#connections.delete(id);
    this.#grants.leave(id);
    this.#tellGranted(id);
    this.#offerAll();
  }

  /** The feeder wants to send nothing for now: a grant would make its silence look like a fault, and keep room from others. */
  pause({ id }: FeederRecord): void {
    this.#grants.pause(id);
    this.#offerAll();
  }

  /** It wants to send, and gets what it may. */
  resume({ id }: FeederRecord): void {
    this.#grants.resume(id);
    this.#offer(id);
  }

  /** A data frame came. Throws `feed-rate-exceeded`, `feed-grant-exceeded`; else the frame is in flight until it has `arrived`. */
  spend(record: FeederRecord, payloadBytes: number): void {
    const spending = this.#grants.spend(record.id, payloadBytes, this.#clock.monotonicMs());
    if (spending === 'rate-exceeded') throw tooFast();
    if (spending === 'grant-exceeded')
      throw new EntropyError('feed-grant-exceeded', 'a frame came that was not granted');
    const connection = this.#connections.get(record.id);
    if (connection !== undefined) this.#links?.bytes(record.id, connection, isCached(record));
  }

  /** What the feeder could send now; grants it what it may have first, as far as that is due. */
  sendable({ id }: FeederRecord, frameBytes: number): Sendable {
    this.#offer(id);
    return this.#grants.sendable(id, frameBytes, this.#clock.monotonicMs());
  }

  /** Anything else came, which costs as much as so many frames. Throws `feed-rate-exceeded`. */
  spendControl(record: FeederRecord, cost: number): void {
    if (!this.#grants.spendControl(record.id, cost, this.#clock.monotonicMs())) throw tooFast();
  }

  /** An authentic frame without entropy came. */
  heard(record: FeederRecord): void {
    const connection = this.#connections.get(record.id);
    if (connection !== undefined) this.#links?.heard(record.id, connection, isCached(record));
  }

  /**
   * A frame was dealt with, and left so much room if the caches saw it. To be called as soon as they answer: what they tell later must not
   * be overwritten by what they told before.
   */
  arrived(record: FeederRecord, payloadBytes: number, roomBytes: number | undefined): void {
    if (isCached(record)) this.#grants.settle(payloadBytes);
    if (roomBytes !== undefined) this.#grants.setRoom(roomBytes);
    this.#offer(record.id);
  }

  roomChanged(roomBytes: number): void {
    this.#grants.setRoom(roomBytes);
    this.#offerAll();
  }

  close(): void {
    this.#timer?.cancel();
    this.#links?.close();
  }

  #offer(id: number): void {
    const grant = this.#grants.offer(id, this.#clock.monotonicMs());
    if (grant !== undefined) this.#connections.get(id)?.grant(grant);
    this.#tellGranted(id);
  }

  #offerAll(): void {
    for (const [id, grant] of this.#grants.offerAll(this.#clock.monotonicMs())) {
      this.#connections.get(id)?.grant(grant);
    }
    for (const id of this.#connections.keys()) this.#tellGranted(id);
  }

  #tellGranted(id: number): void {
    const outstanding = this.#grants.hasOutstanding(id, this.#clock.monotonicMs());
    this.#links?.granted(id, outstanding, this.#grants.outstandingBytes > 0);
  }

  #arm(): void {
    this.#timer ??= this.#clock.after(GRANT_CHECK_MS, () => {
      this.#timer = undefined;
      if (this.#connections.size === 0) return;
      this.#offerAll();
      this.#arm();
    });
  }
}

/** Bytes that are worth nothing are mixed at once: they take no room, and do not stand for external entropy. */
function isCached({ rateUnits }: FeederRecord): boolean {
  return rateUnits > 0;
}

function tooFast(): EntropyError {
  return new EntropyError('feed-rate-exceeded', 'more came in a second than may');
}
