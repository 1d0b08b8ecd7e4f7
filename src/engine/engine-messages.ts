import type { ErrorCode } from '../base/errors.ts';
import type { EventDetail, EventId } from '../base/events.ts';
import type { Log, LogFields } from '../base/log.ts';
import type { SourceName } from '../base/names.ts';
import type { EngineReport, SelfTestReport, SourceReport } from '../contract/outputs.ts';
import type { Feed, PoolFeederSettings } from '../kernel/pool-feeder.ts';

/** What the daemon may ask of the engine thread: parameters and answer of each call. */
export interface EngineCalls {
  report: { parameters: []; answer: EngineReport };
  selfTest: { parameters: []; answer: SelfTestReport };
  testSource: { parameters: [name: SourceName]; answer: SourceReport };
  restoreSource: { parameters: [name: SourceName, reason: string]; answer: SourceReport };
  configureFeed: { parameters: [settings: PoolFeederSettings]; answer: null };
  generate: { parameters: [bytes: number]; answer: Uint8Array };
  stop: { parameters: []; answer: null };
}

export type EngineCallName = keyof EngineCalls;

export type EngineRequest = {
  [Name in EngineCallName]: {
    readonly id: number;
    readonly call: Name;
    readonly parameters: EngineCalls[Name]['parameters'];
  };
}[EngineCallName];

/** What the engine thread sends: answers to requests, and what happened by itself. */
export type EngineMessage =
  | { readonly kind: 'started' }
  | { readonly kind: 'start-failed'; readonly code: ErrorCode; readonly detail: string }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: EngineCalls[EngineCallName]['answer'] }
  | { readonly kind: 'refused'; readonly id: number; readonly code: ErrorCode; readonly detail: string }
  | { readonly kind: 'event'; readonly event: EventId; readonly detail: EventDetail }
  | { readonly kind: 'fed'; readonly feed: Feed }
  | { readonly kind: 'log'; readonly level: keyof Log; readonly message: string; readonly fields: LogFields };
