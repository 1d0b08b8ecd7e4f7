/** The fixed numbers of the feed protocol, version 1; docs/protocol.md states them for other implementations. */

export const FEED_PATH = '/v1/feed';
export const FEED_SUBPROTOCOL = 'entropy-feed.v1';
export const PROTOCOL_VERSION = 1;

/** A handshake message is text and no longer than this. */
export const HANDSHAKE_MAXIMUM_BYTES = 4096;

/** What a frame carries beside its payload: type u8 ‖ sequence u64, and the tag. */
export const FRAME_HEADER_BYTES = 9;
export const FRAME_TAG_BYTES = 16;
export const FRAME_OVERHEAD_BYTES = FRAME_HEADER_BYTES + FRAME_TAG_BYTES;

/** Entropy in one data frame. */
export const PAYLOAD_MINIMUM_BYTES = 32;
export const PAYLOAD_MAXIMUM_BYTES = 65_536;

/** The longest WebSocket message of either direction: what a server sets as its largest. */
export const MESSAGE_MAXIMUM_BYTES = PAYLOAD_MAXIMUM_BYTES + FRAME_OVERHEAD_BYTES;

/**
 * Ciphertext under one key, in bytes: 2^34 AES blocks, where an attacker's advantage against GCM is about 2^-60. A session that has
 * carried so much one way is ended, and the feeder connects again.
 */
export const SESSION_MAXIMUM_BYTES = 2 ** 38;

export const HOST_ID_BYTES = 16;
export const SESSION_ID_BYTES = 16;
export const NONCE_BYTES = 32;
/** X25519 and Ed25519 public keys, the enrolled key, session keys, proofs, SHA-256 digests. */
export const KEY_BYTES = 32;
export const DIGEST_BYTES = 32;

/** Credit per byte is at most 8 bits, in 1/1024 bit. */
export const MAXIMUM_RATE_UNITS = 8192;

/** An answer to `ask` holds at most this many records. */
export const ANSWER_MAXIMUM_RECORDS = 200;

/** A feeder's name: what the file system, a log line and a URL all take as it is. */
export { FEEDER_NAME_PATTERN } from '../base/names.ts';
