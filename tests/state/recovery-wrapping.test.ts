import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { EncryptionInfo } from '../../src/state/encryption-info.ts';
import {
  createRecoveryKey,
  hasRecovery,
  recoveryIdText,
  recoveryKeyOf,
  unwrapByRecovery,
} from '../../src/state/recovery-wrapping.ts';
import { NoneWrapping, RootKey } from '../../src/state/root-key.ts';
import { seededSource } from '../fakes/seeded-stream.ts';
import { throwsWith } from '../rejects.ts';

const random = seededSource();
const none = new NoneWrapping({ random });
const key = RootKey.create(random);
const recovery = createRecoveryKey(random);
const info = await key.wrapped(none, recovery, random);

function changed(field: string, value: string | undefined): EncryptionInfo {
  const fields = new Map(info.fields);
  if (value === undefined) fields.delete(field);
  else fields.set(field, value);
  return { ...info, fields };
}

test('either key gives the other, and neither is the other', () => {
  assert.equal(unwrapByRecovery(info, recovery.secret), key.secret);
  assert.equal(recoveryKeyOf(info, key), recovery);
  assert.not.equal(recovery.secret, key.secret);
  assert.ok(hasRecovery(info) && !hasRecovery({ ...info, fields: new Map() }));
});

test('its id is a version 4 UUID in capitals and braces', () => {
  assert.match(
    recoveryIdText(recovery.id),
    /^\{[0-9A-F]{8}-[0-9A-F]{4}-4[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}\}$/,
  );
  assert.is(info.fields.get('recovery.id'), recoveryIdText(recovery.id));
});

test('a key of another archive is well-formed but does not open, and the error names the id to look for', () => {
  const other = createRecoveryKey(random).secret;
  throwsWith(() => unwrapByRecovery(info, other), 'recovery-key-wrong');
  assert.throws(() => unwrapByRecovery(info, other), /well-formed but does not open.*\{[0-9A-F-]{36}\}/);
});

test('a recovery wrapping that was altered, cut away in part or taken from another archive is noticed at once', async () => {
  const other = await RootKey.create(random).wrapped(none, createRecoveryKey(random), random);
  for (const field of ['recovery.id', 'recovery.wrappedKey', 'recovery.key']) {
    throwsWith(() => recoveryKeyOf(changed(field, other.fields.get(field)), key), 'state-damaged');
    throwsWith(() => recoveryKeyOf(changed(field, undefined), key), 'state-damaged');
  }
  const id = (info.fields.get('recovery.id') ?? '').toLowerCase();
  throwsWith(() => recoveryKeyOf(changed('recovery.id', id), key), 'state-damaged');
});

test.run();
