import { spawnSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeResponseCode, isRefusal, TpmRefusal } from '../../src/tpm/response-code.ts';
import { testWhen } from '../requirements.ts';
import { hasTpm2Tools } from './software-tpm.ts';

test('a code names its reason, and what it is about', () => {
  const told = (value: number): string => {
    const { name, at } = decodeResponseCode(value);
    return `${name} ${at}`.trim();
  };
  assert.equal(told(0x99d), 'POLICY_FAIL session 1');
  assert.equal(told(0x1df), 'INTEGRITY parameter 1');
  assert.equal(told(0x18b), 'HANDLE handle 1');
  assert.equal(told(0x12f), 'AUTH_UNAVAILABLE');
  assert.equal(told(0x100), 'INITIALIZE');
  assert.equal(told(0x922), 'RETRY');
  assert.equal(told(0x500), 'vendor 0x500');
  assert.equal(told(0x1e), 'TPM 1.2 0x1e');
  assert.equal(told(0x17f), 'unknown 0x17f');
  assert.equal(told(0x80280400), 'resource manager 0x80280400');
});

test('what a user can act on has a code of its own', () => {
  const codeOf = (value: number): string => new TpmRefusal('create', decodeResponseCode(value)).code;
  assert.is(codeOf(0x921), 'tpm-lockout');
  assert.is(codeOf(0x9a2), 'tpm-owned');
  assert.is(codeOf(0x14b), 'tpm-nv-full');
  assert.is(codeOf(0x99d), 'tpm-refused');
  const refusal = new TpmRefusal('unseal', decodeResponseCode(0x99d));
  assert.is(refusal.message, 'unseal: TPM_RC_POLICY_FAIL 0x99d (session 1)');
  assert.ok(isRefusal(refusal, 'INTEGRITY', 'POLICY_FAIL'));
  assert.not(isRefusal(refusal, 'INTEGRITY'));
  assert.not(isRefusal(new Error('POLICY_FAIL'), 'POLICY_FAIL'));
});

/** What tpm2-tools says of these codes, in its own words. */
const WORDS: Readonly<Record<string, string>> = {
  POLICY_FAIL: 'a policy check failed',
  INTEGRITY: 'integrity check failed',
  AUTH_UNAVAILABLE: 'authValue or authPolicy is not available for selected entity',
  RETRY: 'the TPM was not able to start the command',
};

testWhen(hasTpm2Tools)('tpm2_rc_decode says the same of reason and place', () => {
  for (const value of [0x99d, 0x1df, 0x12f, 0x922]) {
    const { name, at, isWarning } = decodeResponseCode(value);
    const [kind, number] = at.split(' ');
    const place = at === '' ? (isWarning ? 'warn(2.0): ' : 'error(2.0): ') : `${kind}(${number}):`;
    const oracle = spawnSync('tpm2_rc_decode', [`0x${value.toString(16)}`], { encoding: 'utf8' }).stdout;
    assert.is(oracle.trim(), `tpm:${place}${WORDS[name]}`);
  }
});

test.run();
