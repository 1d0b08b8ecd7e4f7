import { Type, type Static } from 'typebox';
import type { Peer } from './control-service.ts';
import { closed, oneOf } from './schema-parts.ts';

/** What is told of the recovery key, and asked of it. The key itself is never part of a report. */

export const RECOVERY_STATES = [
  'unprotected',
  'backed-up',
  'not-backed-up',
  'recovered',
  'older-copy',
] as const;

export const RecoveryReportSchema = Type.Object(
  {
    id: Type.String({
      description: 'Id of the recovery key, {UUID} in capitals; empty while nothing is on disk',
    }),
    state: Type.Unsafe<(typeof RECOVERY_STATES)[number]>({
      ...oneOf(...RECOVERY_STATES),
      description:
        'unprotected: mode NONE, where the key protects nothing; recovered: restart, then rotate; older-copy: an older copy of the state was put back: confirm its feeders, then rotate',
    }),
    escrowFile: Type.String({ description: 'File with the key encrypted to the recipient; empty for none' }),
  },
  closed,
);
export type RecoveryReport = Static<typeof RecoveryReportSchema>;

export const RECIPIENT_TEXT = { minLength: 1, maxLength: 16_384 } as const;

/** What an operator does with the archive's keys and copies. Every change is durable when it resolves. */
export interface RecoveryControl {
  report(): RecoveryReport;
  /** One line, `{UUID} 000000-…`: bytes, wiped by whoever gets them. Audited. */
  show(peer: Peer): Promise<Uint8Array>;
  rotate(peer: Peer): Promise<RecoveryReport>;
  acknowledge(peer: Peer): Promise<RecoveryReport>;
  /** Encrypts the key to this public key (PEM), now and at each rotation. */
  escrow(recipient: string, peer: Peer): Promise<RecoveryReport>;
  backup(): Promise<RecoveryReport>;
}
