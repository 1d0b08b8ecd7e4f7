import type { ErrorCode } from '../base/errors.ts';

/** What counts as a frame that broke the protocol. */
export const FRAME_FAULTS: ReadonlySet<ErrorCode> = new Set([
  'payload-too-large',
  'feed-frame-invalid',
  'feed-frame-unauthentic',
  'feed-sequence-wrong',
  'feed-grant-exceeded',
  'feed-rate-exceeded',
]);

/** Ends that nobody is to blame for. */
export const NO_FAULT: ReadonlySet<ErrorCode> = new Set([
  'engine-stopped',
  'feeder-replaced',
  'feed-connection-lost',
]);
