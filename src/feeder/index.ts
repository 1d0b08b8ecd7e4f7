/** What a feeder is made of, for programs that bring entropy of their own: `import … from 'entropy-mixer/feeder'`. */
export { SystemClock, type Clock, type Timer } from '../base/clock.ts';
export { EntropyError, isEntropyError, type ErrorCode } from '../base/errors.ts';
export type { RandomSource } from '../base/random.ts';
export { parseEnrolment, type Enrolment } from '../protocol/enrolment-file.ts';
export type { Receipt } from '../protocol/receipt.ts';
export { ReceiptVerifier, type ReceiptSummary } from '../protocol/receipt-verifier.ts';
export type { ByteInput, InputWarning } from './byte-input.ts';
export { DeviceInput } from './device-input.ts';
export { readEnrolment } from './enrolment.ts';
export { FeedClient } from './feed-client.ts';
export type { FeedTarget } from './feed-connection.ts';
export { openFeedTls, type FeedTls, type FeedTlsOptions } from './feed-tls.ts';
export type { FeedClientEvent, FeedLink } from './feed-client-events.ts';
export { Feeder, type FeederEnd, type FeederEvent, type FeederOptions } from './feeder.ts';
export { FileInput } from './file-input.ts';
export { Pkcs11Input } from './pkcs11-input.ts';
export { StreamInput } from './stream-input.ts';
