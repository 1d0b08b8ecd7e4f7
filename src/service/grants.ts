import type { Grant } from '../protocol/frame-payloads.ts';
import { PAYLOAD_MAXIMUM_BYTES } from '../protocol/limits.ts';
import { MS_PER_SECOND } from '../base/units.ts';
import { RateLimit } from './rate-limit.ts';

export interface GrantOptions {
  readonly lapseMs: number;
  /** How much longer than it tells the host stands by a grant: its message and the last frames under it take their time. */
  readonly graceMs: number;
  /** How long before it lapses a grant is renewed, so that a feeder with nothing to send now has one when it does. */
  readonly renewalMs: number;
  /** A grant is raised by at least so much: less would not hold a frame of usual size. */
  readonly minimumBytes: number;
  readonly maximumBytes: number;
  /** What a feeder gets whose bytes are worth nothing: they are mixed at once and take no room. */
  readonly uncachedBytes: number;
}

export const GRANT_DEFAULTS: GrantOptions = {
  lapseMs: 10_000,
  graceMs: 2_000,
  renewalMs: 3_000,
  minimumBytes: 4_096,
  maximumBytes: 16 * 1024 * 1024,
  uncachedBytes: 256 * 1024,
};

export interface GrantTerms {
  readonly weight: number;
  /** Its bytes take room. */
  readonly isCached: boolean;
  /** False: it is granted nothing. */
  readonly isEnabled: boolean;
  readonly bytesPerSecond: number;
  readonly framesPerSecond: number;
}

/** What became of the wish to send a frame. */
export type Spending = 'spent' | 'rate-exceeded' | 'grant-exceeded';

export interface Sendable {
  readonly grantedBytes: number;
  /** Until the rates allow it, in whole milliseconds. */
  readonly rateWaitMs: number;
}

/** Every frame costs the storage cache some room beside its payload; room is counted for frames of this size. */
const BYTES_PER_FRAME = 2_048;
const SPARE_FRAMES = 16;
/** The other half of a feeder's frames per second is for pings and questions, which no grant counts. */
const DATA_PART = 1 / 2;

/** A share is left for whoever comes next: else he would wait until the others' grants are used or lapse. */
const NEWCOMER_WEIGHT = 1;

interface Member {
  readonly terms: GrantTerms;
  readonly byteRate: RateLimit;
  readonly frameRate: RateLimit;
  /** Totals since the session began, as the feeder counts them too. */
  usedBytes: number;
  usedFrames: number;
  grantedBytes: number;
  grantedFrames: number;
  /** When the feeder believes its grant is over. */
  lapsesMs: number;
  /** It wants nothing now: it is granted nothing and leaves its share to the others. */
  isPaused: boolean;
}

/**
 * Shares the room of the caches among the connected feeders, by weight. What may still come under the grants that stand and
 * what is on its way to the caches never exceed the room together. A grant is raised when half of it is used, and renewed when it lapses; it
 * never promises more than the feeder's rates allow, so whoever keeps to it is never too fast.
 */
export class GrantLedger {
  readonly #options: GrantOptions;
  readonly #members = new Map<number, Member>();
  #roomBytes = 0;
  #inFlightBytes = 0;
  #outstandingBytes = 0;
  #weights = 0;
  /** How often room was offered to all: whose turn it is to be first. */
  #rounds = 0;

  constructor(options: GrantOptions) {
    this.#options = options;
  }

  /** Room for payload as last told by the caches: without the frames that they have not seen yet. */
  setRoom(bytes: number): void {
    this.#roomBytes = bytes;
  }

  get roomBytes(): number {
    return this.#roomBytes;
  }

  /** What may still come under grants and takes room. */
  get outstandingBytes(): number {
    return this.#outstandingBytes;
  }

  get inFlightBytes(): number {
    return this.#inFlightBytes;
  }

  join(id: number, terms: GrantTerms, nowMs: number): void {
    this.leave(id);
    const { bytesPerSecond, framesPerSecond } = terms;
    const burst = Math.max(bytesPerSecond, PAYLOAD_MAXIMUM_BYTES);
    const byteRate = new RateLimit({ perSecond: bytesPerSecond, burst }, nowMs);
    const frameRate = new RateLimit({ perSecond: framesPerSecond, burst: framesPerSecond }, nowMs);
    const totals = {
      usedBytes: 0,
      usedFrames: 0,
      grantedBytes: 0,
      grantedFrames: 0,
      lapsesMs: Infinity,
      isPaused: false,
    };
    this.#members.set(id, { terms, byteRate, frameRate, ...totals });
    if (terms.isCached) this.#weights += terms.weight;
  }

  leave(id: number): void {
    const member = this.#members.get(id);
    if (member === undefined) return;
    this.#grant(member, 0, 0);
    if (member.terms.isCached && !member.isPaused) this.#weights -= member.terms.weight;
    this.#members.delete(id);
  }

  /** What was granted ends, and nothing is until it resumes; rates go on. */
  pause(id: number): void {
    const member = this.#members.get(id);
    if (member === undefined || member.isPaused) return;
    this.#end(member);
    member.isPaused = true;
    if (member.terms.isCached) this.#weights -= member.terms.weight;
  }

  resume(id: number): void {
    const member = this.#members.get(id);
    if (member?.isPaused !== true) return;
    member.isPaused = false;
    if (member.terms.isCached) this.#weights += member.terms.weight;
  }

  /** A data frame came. When it may be taken it is in flight until it is settled. */
  spend(id: number, bytes: number, nowMs: number): Spending {
    const member = this.#members.get(id);
    if (member === undefined) return 'grant-exceeded';
    if (!member.frameRate.take(1, nowMs) || !member.byteRate.take(bytes, nowMs)) return 'rate-exceeded';
    if (bytes > standingBytes(member) || standingFrames(member) === 0 || this.#isOver(member, nowMs))
      return 'grant-exceeded';
    member.usedBytes += bytes;
    member.usedFrames++;
    if (member.terms.isCached) {
      this.#outstandingBytes -= bytes;
      this.#inFlightBytes += bytes;
    }
    return 'spent';
  }

  /** Something without entropy came that costs as much as so many frames: false when that is too much. */
  spendControl(id: number, cost: number, nowMs: number): boolean {
    return this.#members.get(id)?.frameRate.take(cost, nowMs) ?? false;
  }

  /** A cached feeder's frame reached the caches, or was lost: the room that they tell next knows of it. */
  settle(bytes: number): void {
    this.#inFlightBytes -= bytes;
  }

  /** True when the feeder could send a frame now. */
  hasOutstanding(id: number, nowMs: number): boolean {
    const member = this.#members.get(id);
    if (member === undefined || nowMs >= member.lapsesMs) return false;
    return standingBytes(member) > 0 && standingFrames(member) > 0;
  }

  /** What the feeder could send now under its grant, and how long its rates forbid a frame of this size. */
  sendable(id: number, frameBytes: number, nowMs: number): Sendable {
    const member = this.#members.get(id);
    if (member === undefined) return { grantedBytes: 0, rateWaitMs: 0 };
    const { terms, byteRate, frameRate } = member;
    const rateWaitMs = Math.max(
      waitMs(frameBytes - byteRate.available(nowMs), terms.bytesPerSecond),
      waitMs(1 - frameRate.available(nowMs), terms.framesPerSecond),
    );
    return { grantedBytes: this.hasOutstanding(id, nowMs) ? standingBytes(member) : 0, rateWaitMs };
  }

  /** A new grant, when it is time for one and there is room for it; it counts from here on. */
  offer(id: number, nowMs: number): Grant | undefined {
    const member = this.#members.get(id);
    if (member?.terms.isEnabled !== true || member.isPaused) return undefined;
    if (this.#isOver(member, nowMs)) this.#end(member);
    const entitled = this.#entitledBytes(member, nowMs);
    const bytes = Math.max(standingBytes(member), entitled);
    const frames = Math.max(standingFrames(member), entitledFrames(member, bytes, nowMs));
    if (entitled < this.#options.minimumBytes || !this.#isDue(member, { bytes, frames, entitled }, nowMs))
      return undefined;
    this.#grant(member, bytes, frames);
    const { lapseMs } = this.#options;
    member.lapsesMs = nowMs + lapseMs;
    return { totalBytes: member.grantedBytes, totalFrames: member.grantedFrames, lapseMs };
  }

  /** Offers to every feeder, another one first each time, so that scarce room goes round. */
  offerAll(nowMs: number): [number, Grant][] {
    const ids = [...this.#members.keys()];
    const first = this.#rounds++ % Math.max(1, ids.length);
    const grants: [number, Grant][] = [];
    for (const id of [...ids.slice(first), ...ids.slice(0, first)]) {
      const grant = this.offer(id, nowMs);
      if (grant !== undefined) grants.push([id, grant]);
    }
    return grants;
  }

  /** What may stand for a feeder from now on: its share of the room, as far as room and rate allow. */
  #entitledBytes(member: Member, nowMs: number): number {
    const rateBytes = member.byteRate.available(nowMs);
    return Math.floor(Math.min(rateBytes, this.#shareOf(member), this.#reachBytes(member)));
  }

  #shareOf({ terms }: Member): number {
    const { minimumBytes, maximumBytes, uncachedBytes } = this.#options;
    if (!terms.isCached) return uncachedBytes;
    const weights = this.#weights + NEWCOMER_WEIGHT;
    const share = ((this.#roomBytes - this.#inFlightBytes) * terms.weight) / weights;
    return Math.min(maximumBytes, Math.max(minimumBytes, share));
  }

  /** What stands already and what is free. */
  #reachBytes(member: Member): number {
    if (!member.terms.isCached) return Infinity;
    return this.#roomBytes - this.#inFlightBytes - this.#outstandingBytes + standingBytes(member);
  }

  /**
   * A grant that still runs is raised when half of the new one or less is left. One that is about to lapse is given again, but never
   * for less while frames under the old one may be on their way: then it waits until that is over.
   */
  #isDue(member: Member, next: { bytes: number; frames: number; entitled: number }, nowMs: number): boolean {
    const standing = standingBytes(member);
    const { minimumBytes, renewalMs } = this.#options;
    if (nowMs >= member.lapsesMs - renewalMs) return next.entitled >= standing;
    const bytesDue = standing <= next.bytes / 2 && next.bytes - standing >= minimumBytes;
    return bytesDue || standingFrames(member) <= next.frames / 2;
  }

  #end(member: Member): void {
    this.#grant(member, 0, 0);
    member.lapsesMs = Infinity;
  }

  /** What may still come from this feeder, from now on. */
  #grant(member: Member, bytes: number, frames: number): void {
    if (member.terms.isCached) this.#outstandingBytes += bytes - standingBytes(member);
    member.grantedBytes = member.usedBytes + bytes;
    member.grantedFrames = member.usedFrames + frames;
  }

  #isOver({ lapsesMs }: Member, nowMs: number): boolean {
    return nowMs >= lapsesMs + this.#options.graceMs;
  }
}

function waitMs(missing: number, perSecond: number): number {
  return Math.ceil((Math.max(0, missing) * MS_PER_SECOND) / perSecond);
}

function standingBytes({ grantedBytes, usedBytes }: Member): number {
  return grantedBytes - usedBytes;
}

function standingFrames({ grantedFrames, usedFrames }: Member): number {
  return grantedFrames - usedFrames;
}

function entitledFrames(member: Member, bytes: number, nowMs: number): number {
  const rateFrames = Math.max(1, Math.floor(member.frameRate.available(nowMs) * DATA_PART));
  return Math.min(rateFrames, Math.floor(bytes / BYTES_PER_FRAME) + SPARE_FRAMES);
}
