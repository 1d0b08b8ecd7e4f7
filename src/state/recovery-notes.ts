import { EntropyError } from '../base/errors.ts';

/** What is remembered of the recovery key beside itself: a document of the archive, without a secret in it. */
export interface RecoveryNotes {
  /** Id of the recovery key that somebody said is backed up, or that is in escrow; empty for none. */
  readonly acknowledgedId: string;
  /** PEM of the public key that the recovery key is encrypted to at each rotation; empty for none. */
  readonly recipient: string;
  /** Id of the recovery key that the escrow file holds; empty for none. */
  readonly escrowedId: string;
  /** How the archive was last recovered, or found to be an older copy, until the keys are rotated; empty when it was not. */
  readonly recovered: '' | 'by-recovery-key' | 'from-previous' | 'older-copy';
  /** When, in milliseconds since 1970; 0 when it was not. */
  readonly recoveredMs: number;
}

export const RECOVERY_NOTES = 'recovery.json';
export const NO_NOTES: RecoveryNotes = {
  acknowledgedId: '',
  recipient: '',
  escrowedId: '',
  recovered: '',
  recoveredMs: 0,
};

const VERSION = 1;
const RECOVERED = ['', 'by-recovery-key', 'from-previous', 'older-copy'] as const;

export function encodeRecoveryNotes(notes: RecoveryNotes): Buffer {
  return Buffer.from(`${JSON.stringify({ version: VERSION, ...notes }, null, 2)}\n`);
}

/** The archive vouches for the bytes: what does not fit can only have been written by another version. */
export function decodeRecoveryNotes(document: Uint8Array | undefined): RecoveryNotes {
  if (document === undefined) return NO_NOTES;
  const content = parsed(document);
  if (content.version !== VERSION)
    throw new EntropyError('state-version-newer', `${RECOVERY_NOTES} has another version`);
  const recovered = RECOVERED.find((one) => one === content.recovered);
  const { recoveredMs } = content;
  if (recovered === undefined || typeof recoveredMs !== 'number') throw damaged();
  return {
    acknowledgedId: textOf(content.acknowledgedId),
    recipient: textOf(content.recipient),
    escrowedId: textOf(content.escrowedId),
    recovered,
    recoveredMs,
  };
}

function parsed(document: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const content: unknown = JSON.parse(Buffer.from(document).toString('utf8'));
    if (typeof content === 'object' && content !== null) return { ...content };
  } catch {
    // Told below.
  }
  throw damaged();
}

function textOf(value: unknown): string {
  if (typeof value !== 'string') throw damaged();
  return value;
}

function damaged(): EntropyError {
  return new EntropyError('state-damaged', `${RECOVERY_NOTES} is not what this program writes`);
}
