import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  encodeEncryptionInfo,
  parseEncryptionInfo,
  type EncryptionInfo,
} from '../../src/state/encryption-info.ts';
import { createRecoveryKey } from '../../src/state/recovery-wrapping.ts';
import { NoneWrapping, RootKey } from '../../src/state/root-key.ts';
import { seededSource } from '../fakes/seeded-stream.ts';
import { rejectsWith } from '../rejects.ts';

const random = seededSource();
const none = new NoneWrapping({ random });

async function wrappedKey(): Promise<{ key: RootKey; info: EncryptionInfo }> {
  const key = RootKey.create(random);
  return {
    key,
    info: parseEncryptionInfo(
      encodeEncryptionInfo(await key.wrapped(none, createRecoveryKey(random), random)),
    ),
  };
}

test('mode NONE gives back the key from what encryption.info says', async () => {
  const { key, info } = await wrappedKey();
  const opened = await RootKey.open(info, [none]);
  assert.equal([opened.id, opened.secret], [key.id, key.secret]);
  assert.equal(
    [...info.fields.keys()],
    ['none.inputs', 'none.wrappedKey', 'recovery.id', 'recovery.wrappedKey', 'recovery.key'],
  );
});

test('keys are random and named: no two are alike, and the id tells nothing of the key', async () => {
  const [a, b] = [await wrappedKey(), await wrappedKey()];
  assert.not.equal(a.key.secret, b.key.secret);
  assert.not.equal(a.key.id, b.key.id);
  assert.not(a.key.secret.includes(a.key.id));
});

test('an id, inputs or a wrapped key of another archive are refused', async () => {
  const [a, b] = [await wrappedKey(), await wrappedKey()];
  const swapped = (key: string): EncryptionInfo => ({
    ...a.info,
    fields: new Map([...a.info.fields, [key, b.info.fields.get(key) ?? '']]),
  });
  await rejectsWith(RootKey.open({ ...a.info, keyId: b.key.id }, [none]), 'state-damaged');
  await rejectsWith(RootKey.open(swapped('none.inputs'), [none]), 'state-damaged');
  await rejectsWith(RootKey.open(swapped('none.wrappedKey'), [none]), 'state-damaged');
  await rejectsWith(RootKey.open({ ...a.info, fields: new Map() }, [none]), 'state-damaged');
});

test('a mode that none of the wrappings knows is a later version, a key of another length is damage', async () => {
  const { info } = await wrappedKey();
  await rejectsWith(RootKey.open({ ...info, mode: 'TPM' }, [none]), 'state-version-newer');
  const short = {
    mode: 'NONE',
    wrap: () => none.wrap(RootKey.create(random)),
    unwrap: () => Promise.resolve(Buffer.alloc(31, 1)),
  };
  await rejectsWith(RootKey.open(info, [short]), 'state-damaged');
});

test('wiped means zero', () => {
  const key = RootKey.create(random);
  key.wipe();
  assert.equal(key.secret, Buffer.alloc(32));
});

test.run();
