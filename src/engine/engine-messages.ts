import type { ErrorCode, ErrorMembers } from '../base/errors.ts';
import type { EventDetail, EventId } from '../base/events.ts';
import type { Log, LogFields } from '../base/log.ts';
import type { FrameVerdict, SourceName } from '../base/names.ts';
import type { GateReport } from '../contract/gate.ts';
import type { EngineReport, SelfTestReport, SourceReport } from '../contract/outputs.ts';
import type { Feed, PoolFeederSettings } from '../kernel/pool-feeder.ts';
import type { OverrideOrder } from '../policy/override.ts';

/** A frame of external entropy on its way into the engine. */
export interface ReceivedFrame {
  /** The feeder's id: it goes into the caches with the bytes. */
  readonly feeder: number;
  /** The feeder's health-test slot, 0 to 1,023. */
  readonly door: number;
  /** Credit per byte, in 1/1024 bit; 0: mixed at once, never cached. */
  readonly rateUnits: number;
  /** 32 to 65,536 bytes. Its buffer is moved to the engine, wiped there and moved back. */
  readonly payload: Uint8Array<ArrayBuffer>;
}

/** What became of it. */
export interface TakenFrame {
  readonly verdict: FrameVerdict;
  readonly memoryBytes: number;
  /** Durable on disk. */
  readonly storedBytes: number;
  /** The frame failed, and so did too many before it: the feeder is to be suspended. */
  readonly suspend: boolean;
  /** Room for more, in bytes, after this frame. */
  readonly roomBytes: number;
}

/** Sizes of the caches of external entropy; they change together or not at all. */
export interface CacheSizes {
  readonly memoryBytes: number;
  readonly lowWatermarkPercent: number;
  readonly storageBytes: number;
}

/** What the daemon may ask of the engine thread: parameters and answer of each call. */
export interface EngineCalls {
  report: { parameters: []; answer: EngineReport };
  selfTest: { parameters: []; answer: SelfTestReport };
  testSource: { parameters: [name: SourceName]; answer: SourceReport };
  restoreSource: { parameters: [name: SourceName, reason: string]; answer: SourceReport };
  overrideGate: { parameters: [order: OverrideOrder]; answer: GateReport };
  /** Ends an override, if there is one. */
  restoreGate: { parameters: [by: string]; answer: GateReport };
  configureFeed: { parameters: [settings: PoolFeederSettings]; answer: null };
  /** DRBG output for the daemon's own keys. */
  generate: { parameters: [bytes: number]; answer: Uint8Array };
  /** DRBG output for readers, under budget and reserve. */
  serve: { parameters: [bytes: number, fresh: boolean]; answer: Uint8Array };
  /** Bits of output that could be had now. */
  servableBits: { parameters: []; answer: number };
  configureServed: { parameters: [limitBitsPerSecond: number]; answer: null };
  /** Mixes bytes in that are worth nothing. */
  absorb: { parameters: [bytes: Uint8Array<ArrayBuffer>]; answer: null };
  receive: { parameters: [frame: ReceivedFrame]; answer: ReceiveAnswer };
  resetDoor: { parameters: [door: number]; answer: null };
  renewDoor: { parameters: [door: number]; answer: null };
  voidFeeder: { parameters: [feeder: number]; answer: null };
  /** Reserves what new sizes need; ended by settleCaches. */
  prepareCaches: { parameters: [sizes: CacheSizes]; answer: null };
  settleCaches: { parameters: [commit: boolean]; answer: null };
  /** Segments of the storage cache whose keys were destroyed since the key-encryption key came into force. */
  spentSegments: { parameters: []; answer: number };
  /** Another key-encryption key for what is stored; its buffer is moved, and wiped there. */
  rekeyCaches: { parameters: [key: Uint8Array<ArrayBuffer>]; answer: null };
  stop: { parameters: []; answer: null };
}

/** The emptied buffer of the payload comes back with what became of the frame. */
export interface ReceiveAnswer {
  readonly taken: TakenFrame;
  readonly buffer: ArrayBuffer;
}

export type EngineCallName = keyof EngineCalls;

export type EngineRequest = {
  [Name in EngineCallName]: {
    readonly id: number;
    readonly call: Name;
    readonly parameters: EngineCalls[Name]['parameters'];
  };
}[EngineCallName];

/** An error on its way between the threads. */
export interface Refusal {
  readonly code: ErrorCode;
  readonly detail: string;
  readonly members: ErrorMembers;
}

/** What the engine thread sends: answers to requests, and what happened by itself. */
export type EngineMessage =
  | { readonly kind: 'started'; readonly runningMask: number }
  | ({ readonly kind: 'start-failed' } & Refusal)
  | { readonly kind: 'answer'; readonly id: number; readonly answer: EngineCalls[EngineCallName]['answer'] }
  | ({ readonly kind: 'refused'; readonly id: number } & Refusal)
  | { readonly kind: 'event'; readonly event: EventId; readonly detail: EventDetail }
  | { readonly kind: 'fed'; readonly feed: Feed }
  /** Room in the caches changed by itself: bytes were drawn. */
  | { readonly kind: 'room'; readonly roomBytes: number }
  | { readonly kind: 'log'; readonly level: keyof Log; readonly message: string; readonly fields: LogFields };
