import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ErrorCode } from '../../src/base/errors.ts';
import { isEntropyError } from '../../src/base/errors.ts';
import type { EncryptionChange } from '../../src/contract/encryption.ts';
import { encryptionReport, plannedEncryption } from '../../src/state/seal-plan.ts';

const NONE = encryptionReport('NONE', []);

type Outcome = readonly number[] | ErrorCode;

/** PCRs sealed to, or why not. */
function planned(
  current: readonly number[] | 'NONE',
  change: EncryptionChange,
  secureBoot: 'on' | 'off' | 'unknown' = 'on',
): Outcome {
  const before = current === 'NONE' ? NONE : encryptionReport('TPM', current);
  try {
    const plan = plannedEncryption(before, change, { secureBoot });
    return plan.mode === 'TPM' ? plan.pcrs : [];
  } catch (error) {
    if (isEntropyError(error)) return error.code;
    throw error;
  }
}

test('the first sealing requires Secure Boot when it is on, and nothing when it is not', () => {
  assert.equal(planned('NONE', { mode: 'TPM' }), [7]);
  assert.equal(planned('NONE', { mode: 'TPM' }, 'off'), []);
  assert.equal(planned('NONE', { mode: 'TPM' }, 'unknown'), []);
  assert.equal(planned('NONE', { mode: 'TPM', requireSecureBoot: false }), []);
});

test('what was required stays required when the archive is sealed anew', () => {
  assert.equal(planned([7], { mode: 'TPM' }), [7]);
  assert.is(planned([7], { mode: 'TPM' }, 'off'), 'encryption-unsatisfied');
  assert.equal(planned([4, 7, 14, 23], { mode: 'TPM' }), [4, 7, 14, 23]);
  assert.equal(
    planned([], { mode: 'TPM' }, 'on'),
    [],
    'off at the first sealing: it is asked for, not assumed',
  );
  assert.equal(planned([], { requireSecureBoot: true }), [7]);
});

test('Secure Boot can be required only while it is on', () => {
  assert.is(planned([], { requireSecureBoot: true }, 'off'), 'encryption-unsatisfied');
  assert.is(planned([], { requireSecureBoot: true }, 'unknown'), 'encryption-unsatisfied');
  assert.equal(planned([7], { requireSecureBoot: false }, 'off'), []);
});

test('installed files are required together with Secure Boot only, in either order of letting go', () => {
  assert.is(planned([], { requireExecInstalledOnly: true }), 'encryption-unsatisfied');
  assert.equal(planned([7], { requireExecInstalledOnly: true }), [7, 23]);
  assert.equal(planned([], { requireSecureBoot: true, requireExecInstalledOnly: true }), [7, 23]);
  assert.is(planned([7, 23], { requireSecureBoot: false }), 'encryption-unsatisfied');
  assert.equal(planned([7, 23], { requireSecureBoot: false, requireExecInstalledOnly: false }), []);
});

test('more PCRs are added to what the flags require, kept, replaced and dropped', () => {
  assert.equal(planned('NONE', { mode: 'TPM', pcrs: [14, 4] }), [4, 7, 14]);
  assert.equal(planned([4, 7], { requireSecureBoot: true }), [4, 7]);
  assert.equal(planned([4, 7], { pcrs: [11] }), [7, 11]);
  assert.equal(planned([4, 7], { pcrs: [] }), [7]);
  for (const pcr of [0, 7, 23]) assert.is(planned([7], { pcrs: [pcr] }), 'encryption-unsatisfied');
});

test('TPM cannot be undone, and mode NONE requires nothing', () => {
  assert.is(planned([7], { mode: 'NONE' }), 'encryption-irreversible');
  assert.equal(planned('NONE', { mode: 'NONE' }), []);
  assert.is(planned('NONE', { requireSecureBoot: true }), 'encryption-unsatisfied');
  assert.is(planned('NONE', { requireExecInstalledOnly: true }), 'encryption-unsatisfied');
  assert.is(planned('NONE', { pcrs: [4] }), 'encryption-unsatisfied');
  assert.equal(planned('NONE', { requireSecureBoot: false }), []);
});

test.run();
