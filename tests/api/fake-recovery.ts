import type { Peer } from '../../src/contract/control-service.ts';
import type { RecoveryControl, RecoveryReport } from '../../src/contract/recovery.ts';

const ID = '{00112233-4455-4677-8899-AABBCCDDEEFF}';
export const SAMPLE_RECOVERY: RecoveryReport = { id: ID, state: 'backed-up', escrowFile: '' };

/** Not a key: every group is its place alone, the key of 32 zero bytes. */
const ZERO_KEY = Array.from({ length: 16 }, (_, group) => String(group % 11).padStart(6, '0')).join('-');

/** A recovery key that opens nothing; notes who asked for it. */
export class FakeRecovery implements RecoveryControl {
  readonly calls: string[] = [];

  report(): RecoveryReport {
    return SAMPLE_RECOVERY;
  }

  show(peer: Peer): Promise<Uint8Array> {
    this.calls.push(`show ${peer.access}`);
    return Promise.resolve(Buffer.from(`${ID} ${ZERO_KEY}\n`));
  }

  rotate(peer: Peer): Promise<RecoveryReport> {
    this.calls.push(`rotate ${peer.access}`);
    return Promise.resolve(SAMPLE_RECOVERY);
  }

  acknowledge(peer: Peer): Promise<RecoveryReport> {
    this.calls.push(`acknowledge ${peer.access}`);
    return Promise.resolve(SAMPLE_RECOVERY);
  }

  escrow(recipient: string, peer: Peer): Promise<RecoveryReport> {
    this.calls.push(`escrow ${recipient.length} ${peer.access}`);
    return Promise.resolve({ ...SAMPLE_RECOVERY, escrowFile: 'bootbank/recovery-key.oaep' });
  }

  backup(): Promise<RecoveryReport> {
    this.calls.push('backup');
    return Promise.resolve(SAMPLE_RECOVERY);
  }
}
