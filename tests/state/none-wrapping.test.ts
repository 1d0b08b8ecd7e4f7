import { scryptSync } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isEntropyError } from '../../src/base/errors.ts';
import { PASSPHRASE_BYTES } from '../../src/contract/passphrase.ts';
import {
  encodeEncryptionInfo,
  parseEncryptionInfo,
  type EncryptionInfo,
} from '../../src/state/encryption-info.ts';
import { openEnvelope } from '../../src/state/envelope.ts';
import { isObfuscation, NoneWrapping } from '../../src/state/none-wrapping.ts';
import { PASSPHRASE_COST, passphraseOf } from '../../src/state/passphrase.ts';
import { recoverArchive } from '../../src/state/recover-archive.ts';
import { createRecoveryKey } from '../../src/state/recovery-wrapping.ts';
import { RootKey } from '../../src/state/root-key.ts';
import { StateArchive } from '../../src/state/state-archive.ts';
import { count } from '../counts.ts';
import { failing, SimulatedFiles } from '../durable/simulated-files.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { seededSource, SeededStream } from '../fakes/seeded-stream.ts';
import { rejectsWith, throwsWith } from '../rejects.ts';

const random = seededSource();
const cost = { N: 1024, r: 8, p: 1 } as const;
const OLD = 'correct horse';
const NEW = 'battery staple';

/** As a start makes it that was given this passphrase. */
function given(passphrase?: string): NoneWrapping {
  return new NoneWrapping({
    random,
    cost,
    ...(passphrase !== undefined && { passphrase: () => Buffer.from(passphrase) }),
  });
}

async function wrapped(by: NoneWrapping): Promise<{ key: RootKey; info: EncryptionInfo }> {
  const key = RootKey.create(random);
  return { key, info: await key.wrapped(by, createRecoveryKey(random), random) };
}

function opened(files: SimulatedFiles, by: NoneWrapping): Promise<StateArchive> {
  return StateArchive.open({ mode: 'NONE' }, { files, random, wrappings: [by] });
}

/** What a start finds that is given this passphrase: the document, or why not. */
async function found(files: SimulatedFiles, passphrase?: string): Promise<string | undefined> {
  const archive = await opened(files, given(passphrase));
  const result = archive.refused?.code ?? archive.document('a')?.toString();
  await archive.close();
  return result;
}

test('with a passphrase the file alone does not open: protection, not obfuscation', async () => {
  const { key, info } = await wrapped(given(OLD));
  assert.equal([info.mode, isObfuscation(info), info.fields.has('none.inputs')], ['NONE', false, false]);
  assert.equal(await given(OLD).unwrap(info), key.secret);
  await rejectsWith(given().unwrap(info), 'passphrase-needed');
  await rejectsWith(given(NEW).unwrap(info), 'passphrase-wrong');
  assert.ok(isObfuscation((await wrapped(given())).info));
});

test('whoever was given a passphrase takes no archive without: anybody can make one', async () => {
  const { key, info } = await wrapped(given());
  await rejectsWith(given(OLD).unwrap(info), 'passphrase-unjoined');
  assert.equal(await given().unwrap(info), key.secret);
});

test('is what its fields say: scrypt of the passphrase opens the envelope', async () => {
  const { key, info } = await wrapped(given(OLD));
  assert.is(info.fields.get('none.scrypt'), 'N=1024,r=8,p=1');
  const salt = Buffer.from(info.fields.get('none.salt') ?? '', 'base64');
  const secret = scryptSync(OLD, salt, 32, cost);
  const envelope = Buffer.from(info.fields.get('none.wrappedKey') ?? '', 'base64');
  assert.equal(openEnvelope({ id: info.keyId, secret }, 'archive key, mode NONE', envelope), key.secret);
  assert.equal(PASSPHRASE_COST, { N: 131_072, r: 8, p: 1 });
});

test('parameters out of bounds are refused before a passphrase is even asked for', async () => {
  const { info } = await wrapped(given(OLD));
  const unasked = new NoneWrapping({
    random,
    passphrase: () => {
      throw new Error('asked');
    },
  });
  const fields = (name: string, value: string): EncryptionInfo => ({
    ...info,
    fields: new Map([...info.fields, [name, value]]),
  });
  for (const text of [
    '',
    'N=1024,r=8',
    'N=512,r=8,p=1',
    'N=1025,r=8,p=1',
    'N=1048576,r=8,p=1',
    'N=1024,r=9,p=1',
    'N=1024,r=8,p=5',
    'N=1024,r=0,p=1',
    'N=1e3,r=8,p=1',
  ])
    await rejectsWith(unasked.unwrap(fields('none.scrypt', text)), 'state-damaged');
  await rejectsWith(unasked.unwrap(fields('none.salt', 'AAEC')), 'state-damaged');
  await rejectsWith(unasked.unwrap(fields('none.inputs', 'AAEC')), 'state-damaged');
});

test('a passphrase joins, changes and goes by a rotation; each time what was before opens nothing', async () => {
  const files = new SimulatedFiles();
  const plain = await opened(files, given());
  await plain.save('a', Buffer.from('kept'));
  await plain.save('a', Buffer.from('kept'));
  await plain.close();
  const recoveryIds = new Set<string>();
  for (const [before, after] of [
    [undefined, OLD],
    [OLD, NEW],
    [NEW, undefined],
  ] as const) {
    const by = given(before);
    const archive = await opened(files, by);
    await archive.rotate({ prepare: () => by.join(after === undefined ? after : Buffer.from(after)) });
    assert.equal([archive.isProtected, by.isJoined], [after !== undefined, after !== undefined]);
    recoveryIds.add(archive.recoveryId);
    await archive.close();
    assert.is(await found(files, after), 'kept');
    if (after !== undefined) {
      assert.is(await found(files), 'passphrase-needed');
      assert.is(await found(files, 'something else'), 'passphrase-wrong');
    }
  }
  assert.is(await found(files, NEW), 'passphrase-unjoined');
  assert.is(recoveryIds.size, 3);
});

test('a rotation of the recovery key keeps the passphrase; one that fails keeps the one before', async () => {
  const files = new SimulatedFiles();
  const by = given(OLD);
  const archive = await opened(files, by);
  await archive.save('a', Buffer.from('kept'));
  await archive.rotate();
  assert.is(await found(files, OLD), 'kept');
  files.fault = failing('create');
  await rejectsWith(archive.rotate({ prepare: () => by.join(Buffer.from(NEW)) }), 'state-unwritable');
  files.fault = undefined;
  await archive.rotate();
  assert.equal([await found(files, OLD), await found(files, NEW)], ['kept', 'passphrase-wrong']);
});

test('a lost passphrase: the recovery key opens; another one is joined, or it is given up by name', async () => {
  const files = new SimulatedFiles();
  const archive = await opened(files, given(OLD));
  await archive.save('a', Buffer.from('kept'));
  const { secret } = await archive.recoveryKey();
  await archive.close();
  const recover = (by: NoneWrapping, mode: 'NONE' | undefined) =>
    recoverArchive(
      { from: 'current', recoverySecret: secret, mode },
      { files, random, clock: new FakeClock(), wrappings: [by] },
    );
  await rejectsWith(recover(given(), undefined), 'passphrase-needed');
  assert.is(await found(files, OLD), 'kept', 'nothing was changed');
  await recover(given(NEW), undefined);
  assert.equal([await found(files, NEW), await found(files, OLD)], ['kept', 'passphrase-wrong']);
  await recover(given(), 'NONE');
  assert.is(await found(files), 'kept');
});

test('flips in the fields are refused, whatever they hit, and nothing takes long or opens wrongly', async () => {
  const { key, info } = await wrapped(given(OLD));
  const text = encodeEncryptionInfo(info);
  const head = text.indexOf('none.scrypt');
  const own = text.indexOf('recovery.id') - head;
  const stream = new SeededStream('flips');
  const below = (limit: number): number => Buffer.from(stream.bytes(4)).readUInt32BE() % limit;
  for (let left = count(150, 10_000); left > 0; left--) {
    const flipped = Buffer.from(text);
    const at = head + below(own);
    flipped.writeUInt8(flipped.readUInt8(at) ^ (1 << below(8)), at);
    try {
      const secret = await given(OLD).unwrap(parseEncryptionInfo(flipped));
      assert.equal(secret, key.secret, `byte ${at}`);
      assert.unreachable(`byte ${at} is not covered`);
    } catch (error) {
      assert.ok(
        isEntropyError(error, 'state-damaged', 'passphrase-wrong', 'state-version-newer'),
        `byte ${at}: ${String(error)}`,
      );
    }
  }
});

test('line ends behind a passphrase do not count; too short or too long is refused', () => {
  const passphrase = (text: string): string => passphraseOf(Buffer.from(text)).toString();
  assert.is(passphrase('correct horse\r\n'), 'correct horse');
  assert.is(passphrase(' correct horse '), ' correct horse ');
  for (const length of [0, PASSPHRASE_BYTES.minimum - 1, PASSPHRASE_BYTES.maximum + 1])
    throwsWith(() => passphraseOf(Buffer.alloc(length, 'x')), 'passphrase-refused');
  for (const length of [PASSPHRASE_BYTES.minimum, PASSPHRASE_BYTES.maximum])
    assert.is(passphraseOf(Buffer.alloc(length, 'x')).length, length);
  const content = Buffer.from('correct horse');
  passphraseOf(content);
  assert.equal(content, Buffer.alloc(content.length), 'what was read is wiped');
});

test.run();
