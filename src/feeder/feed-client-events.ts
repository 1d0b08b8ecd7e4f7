import type { Clock } from '../base/clock.ts';
import type { EntropyError } from '../base/errors.ts';
import type { RandomSource } from '../base/random.ts';
import type { LevelReport } from '../protocol/frame-payloads.ts';
import type { Hello, Welcome } from '../protocol/handshake-messages.ts';
import type { Receipt } from '../protocol/receipt.ts';

export interface FeedClientDependencies {
  readonly clock: Clock;
  readonly random: RandomSource;
  /** Told what happens, at once and in order. */
  readonly observe?: (event: FeedClientEvent) => void;
  /** Gets each verified receipt as its 264 bytes, in order: the stuff of a receipts file. */
  readonly keepReceipt?: (record: Uint8Array) => void;
}

/** What a client tells of its feed. */
export type FeedClientEvent =
  /** A session began. Frames of an earlier one have their receipts now, or are lost. */
  | { readonly kind: 'connected'; readonly hello: Hello; readonly welcome: Welcome }
  | { readonly kind: 'receipt'; readonly receipt: Receipt }
  | { readonly kind: 'room'; readonly grantedBytes: number }
  | { readonly kind: 'level'; readonly report: LevelReport }
  /** So many frames will get no receipt; their bytes are destroyed. */
  | { readonly kind: 'lost'; readonly frames: number; readonly bytes: number };

export interface FeedLink {
  readonly hello: Hello;
  readonly welcome: Welcome;
  /** Resolves with the reason once the connection has ended; never rejects. */
  readonly ended: Promise<EntropyError>;
}
