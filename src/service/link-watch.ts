import type { Clock, Timer } from '../base/clock.ts';
import type { EventSink } from '../base/events.ts';
import { Link } from '../policy/link.ts';

export interface LinkWatchOptions {
  /** `external-entropy-lost-timeout`, in milliseconds. */
  readonly timeoutMs: number;
}

export interface LinkWatchDependencies {
  readonly clock: Clock;
  readonly events: EventSink;
}

/** Who is at the other end. */
export interface LinkPeer {
  /** `ADDRESS:PORT`; an IPv6 address stands in brackets. */
  readonly address: string;
  /** The IP address alone, as events tell it. */
  readonly ipAddress: string;
}

export type LinkName = 'connected' | 'lost' | 'never';

interface Watched {
  readonly subject: string;
  readonly link: Link;
  /** Undefined before the first authentic frame. */
  heardMs: number | undefined;
  /** Of the last connection. */
  peer: LinkPeer;
}

/** The host's own link stands under an id that no feeder has. */
const HOST = 0;
const HOST_SUBJECT = 'host';
const NOBODY: LinkPeer = { address: '', ipAddress: '' };

/**
 * Watches the links of all feeders and of the host, which is there while any feeder is whose bytes are worth something. One timer
 * stands for the earliest deadline; when it fires too early, because somebody was heard meanwhile, it is set again.
 */
export class LinkWatch {
  readonly #clock: Clock;
  readonly #events: EventSink;
  readonly #watched = new Map<number, Watched>();
  #timeoutMs: number;
  #timer: Timer | undefined;
  #dueMs = Infinity;

  constructor(options: LinkWatchOptions, dependencies: LinkWatchDependencies) {
    this.#timeoutMs = options.timeoutMs;
    this.#clock = dependencies.clock;
    this.#events = dependencies.events;
    this.add(HOST, HOST_SUBJECT);
  }

  /** Watches a feeder from now on; one that is watched already goes on as it is. */
  add(id: number, subject: string): void {
    if (this.#watched.has(id)) return;
    const link = new Link({ timeoutMs: this.#timeoutMs }, this.#clock.monotonicMs());
    this.#watched.set(id, { subject, link, heardMs: undefined, peer: NOBODY });
    this.#arm(link);
  }

  remove(id: number): void {
    this.#watched.delete(id);
  }

  /** An authentic frame came. */
  heard(id: number, peer: LinkPeer, isCredited: boolean): void {
    const nowMs = this.#clock.monotonicMs();
    for (const watched of this.#concerned(id, isCredited)) {
      this.#note(watched, peer);
      watched.link.heard(nowMs);
      this.#arm(watched.link);
    }
  }

  /** A frame of entropy came. */
  bytes(id: number, peer: LinkPeer, isCredited: boolean): void {
    const nowMs = this.#clock.monotonicMs();
    for (const watched of this.#concerned(id, isCredited)) {
      this.#note(watched, peer);
      const news = watched.link.bytes(nowMs);
      this.#arm(watched.link);
      if (news === 'received')
        this.#events.emit('entropy.data.received', { subject: watched.subject, object: peer.ipAddress });
    }
  }

  /** Whether this feeder holds a grant; and whether any does whose bytes are worth something. */
  granted(id: number, outstanding: boolean, anyOutstanding: boolean): void {
    const nowMs = this.#clock.monotonicMs();
    this.#grant(this.#watched.get(id), outstanding, nowMs);
    this.#grant(this.#watched.get(HOST), anyOutstanding, nowMs);
  }

  reconfigure(options: LinkWatchOptions): void {
    this.#timeoutMs = options.timeoutMs;
    for (const { link } of this.#watched.values()) {
      link.reconfigure(options);
      this.#arm(link);
    }
  }

  stateOf(id: number): LinkName {
    const watched = this.#watched.get(id);
    if (watched?.heardMs === undefined) return 'never';
    return watched.link.state.state;
  }

  get hostState(): LinkName {
    return this.stateOf(HOST);
  }

  /** Wall-clock time; null before the first authentic frame. */
  lastHeardMs(id: number): number | null {
    return this.#watched.get(id)?.heardMs ?? null;
  }

  /** `ADDRESS:PORT` of the last connection; empty before the first. */
  addressOf(id: number): string {
    return this.#watched.get(id)?.peer.address ?? '';
  }

  close(): void {
    this.#timer?.cancel();
    this.#watched.clear();
  }

  #concerned(id: number, isCredited: boolean): Watched[] {
    const ids = isCredited ? [id, HOST] : [id];
    return ids.map((one) => this.#watched.get(one)).filter((watched) => watched !== undefined);
  }

  /** A copy: the connection itself is not kept. */
  #note(watched: Watched, { address, ipAddress }: LinkPeer): void {
    watched.heardMs = this.#clock.wallMs();
    watched.peer = { address, ipAddress };
  }

  #grant(watched: Watched | undefined, outstanding: boolean, nowMs: number): void {
    if (watched === undefined) return;
    watched.link.granted(outstanding, nowMs);
    this.#arm(watched.link);
  }

  #arm({ deadlineMs }: Link): void {
    if (deadlineMs === undefined || deadlineMs >= this.#dueMs) return;
    this.#timer?.cancel();
    this.#dueMs = deadlineMs;
    const delayMs = Math.max(0, Math.ceil(deadlineMs - this.#clock.monotonicMs()));
    this.#timer = this.#clock.after(delayMs, () => this.#check());
  }

  #check(): void {
    this.#dueMs = Infinity;
    const nowMs = this.#clock.monotonicMs();
    for (const { subject, link, peer } of this.#watched.values()) {
      const loss = link.check(nowMs);
      if (loss !== undefined)
        this.#events.emit('entropy.data.timeout', { subject, object: peer.ipAddress, comment: loss });
      this.#arm(link);
    }
  }
}
