import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SystemClock } from '../../src/base/clock.ts';
import { COMMAND } from '../../src/tpm/codes.ts';
import { pcrPolicyDigest } from '../../src/tpm/pcr.ts';
import { isRefusal } from '../../src/tpm/response-code.ts';
import type { SealedSecret } from '../../src/tpm/sealed-secret.ts';
import { Tpm } from '../../src/tpm/tpm.ts';
import { TpmReader, TpmWriter } from '../../src/tpm/wire.ts';
import { isEntropyError } from '../../src/base/errors.ts';
import { count } from '../counts.ts';
import { SeededStream, seededSource } from '../fakes/seeded-stream.ts';
import { isA, rejectsWith } from '../rejects.ts';
import { testWhen } from '../requirements.ts';
import { BusTap } from './bus-tap.ts';
import { hasSwtpm, hasTpm2Tools, SoftwareTpm, withSoftwareTpm } from './software-tpm.ts';

const SECRET = Buffer.from('thirty-two bytes of wrapping key');
const PCRS = [7, 14];
const DIGEST = Buffer.alloc(32, 0xab);

let software: SoftwareTpm;
if (hasSwtpm) software = await SoftwareTpm.start();

function sealSecret(tpm: Tpm, pcrs: readonly number[] = PCRS): Promise<SealedSecret> {
  return tpm.withStorageRoot({}, async (root) =>
    tpm.seal({ root, secret: SECRET, policyDigest: pcrPolicyDigest(await tpm.readPcrs(pcrs)) }),
  );
}

function unsealSecret(
  tpm: Tpm,
  sealed: SealedSecret,
  pcrs: readonly number[] = PCRS,
  pinnedName?: Buffer,
): Promise<Buffer> {
  return tpm.withStorageRoot(pinnedName === undefined ? {} : { pinnedName }, (root) =>
    tpm.unseal({ root, sealed, pcrs }),
  );
}

async function refusalOf(work: Promise<unknown>): Promise<string> {
  const outcome: unknown = await work.catch((error: unknown) => error);
  return isRefusal(outcome, 'POLICY_FAIL', 'INTEGRITY', 'AUTH_UNAVAILABLE') ? outcome.response.name : 'other';
}

testWhen(hasSwtpm)('what was sealed is unsealed by the same TPM, also after a reboot', async () => {
  const sealed = await software.use(sealSecret);
  assert.equal(await software.use((tpm) => unsealSecret(tpm, sealed)), SECRET);
  await software.reboot();
  assert.equal(await software.use((tpm) => unsealSecret(tpm, sealed)), SECRET);
});

testWhen(hasSwtpm)('a PCR of the policy that was extended refuses, until the next boot', async () => {
  const sealed = await software.use(sealSecret);
  await software.use(async (tpm) => {
    await tpm.extendPcr(3, DIGEST);
    assert.equal(await unsealSecret(tpm, sealed), SECRET, 'PCR 3 is not in the policy');
    await tpm.extendPcr(7, DIGEST);
    assert.is(await refusalOf(unsealSecret(tpm, sealed)), 'POLICY_FAIL');
    assert.is(await refusalOf(unsealSecret(tpm, sealed, [14])), 'POLICY_FAIL', 'another selection');
  });
  await software.reboot();
  assert.equal(await software.use((tpm) => unsealSecret(tpm, sealed)), SECRET);
});

testWhen(hasSwtpm)('without PCRs the policy binds to the TPM alone', async () => {
  const sealed = await software.use((tpm) => sealSecret(tpm, []));
  await software.use(async (tpm) => {
    await tpm.extendPcr(7, DIGEST);
    assert.equal(await unsealSecret(tpm, sealed, []), SECRET);
  });
  await software.reboot();
});

testWhen(hasSwtpm)('an altered blob is refused', async () => {
  const sealed = await software.use(sealSecret);
  const flipped = (bytes: Buffer, at: number): Buffer => {
    const copy = Buffer.from(bytes);
    copy.writeUInt8(copy.readUInt8(at) ^ 1, at);
    return copy;
  };
  await software.use(async (tpm) => {
    const privatePart = flipped(sealed.privatePart, sealed.privatePart.length - 1);
    assert.is(await refusalOf(unsealSecret(tpm, { ...sealed, privatePart })), 'INTEGRITY');
    const publicArea = flipped(sealed.publicArea, 12); // in the policy's digest
    assert.is(await refusalOf(unsealSecret(tpm, { ...sealed, publicArea })), 'INTEGRITY');
  });
});

testWhen(hasSwtpm)('another TPM, or one that was cleared, has another root key', async () => {
  await withSoftwareTpm(async (other) => {
    const { sealed, name, endorsement } = await other.use(async (tpm) => ({
      sealed: await sealSecret(tpm),
      name: await tpm.withStorageRoot({}, (root) => Promise.resolve(root.name)),
      endorsement: await tpm.endorsementName(),
    }));
    assert.equal(await other.use((tpm) => unsealSecret(tpm, sealed, PCRS, name)), SECRET);
    other.tool('tpm2_clear');
    await other.use(async (tpm) => {
      await rejectsWith(unsealSecret(tpm, sealed, PCRS, name), 'tpm-root-changed');
      assert.is(await refusalOf(unsealSecret(tpm, sealed)), 'INTEGRITY', 'nor does it open without the pin');
      assert.equal(await tpm.endorsementName(), endorsement, 'still the same TPM');
    });
    await other.replace();
    await other.use(async (tpm) => {
      await rejectsWith(unsealSecret(tpm, sealed, PCRS, name), 'tpm-root-changed');
      assert.not.equal(await tpm.endorsementName(), endorsement);
    });
  });
});

testWhen(hasSwtpm)('the provisioned root key is the one that would be made', async () => {
  await withSoftwareTpm(async (fresh) => {
    await fresh.use(async (tpm) => {
      const sealed = await sealSecret(tpm);
      const made = await tpm.withStorageRoot({}, (root) => Promise.resolve(root));
      assert.is(made.handle >>> 24, 0x80, 'transient');
      assert.ok(await tpm.provisionStorageRoot());
      assert.ok(await tpm.provisionStorageRoot(), 'twice is once');
      const kept = await tpm.withStorageRoot({ pinnedName: made.name }, (root) => Promise.resolve(root));
      assert.is(kept.handle, 0x81000001);
      assert.equal(await unsealSecret(tpm, sealed), SECRET);
    });
    assert.is(fresh.tool('tpm2_getcap', 'handles-transient').toString(), '', 'nothing is left behind');
    assert.is(fresh.tool('tpm2_getcap', 'handles-loaded-session').toString(), '');
  });
});

testWhen(hasTpm2Tools)('tpm2-tools unseal what we sealed, by the policy and by nothing else', async () => {
  const { publicArea, privatePart } = await software.use(async (tpm) => {
    await tpm.provisionStorageRoot();
    return sealSecret(tpm);
  });
  const file = (name: string): string => path.join(software.directory, name);
  writeFileSync(file('ours.pub'), new TpmWriter().sized(publicArea).bytes());
  writeFileSync(file('ours.priv'), new TpmWriter().sized(privatePart).bytes());
  software.tool('tpm2_load', '-C', '0x81000001', '-u', 'ours.pub', '-r', 'ours.priv', '-c', 'ours.ctx');
  software.tool('tpm2_flushcontext', '-t');
  assert.equal(software.tool('tpm2_unseal', '-c', 'ours.ctx', '-p', 'pcr:sha256:7,14'), SECRET);
  software.tool('tpm2_flushcontext', '-t');
  software.tool('tpm2_flushcontext', '-s');
  assert.throws(
    () => software.tool('tpm2_unseal', '-c', 'ours.ctx'),
    /authValue or authPolicy is not available/,
  );
  software.tool('tpm2_flushcontext', '-t');
});

testWhen(hasTpm2Tools)('we unseal what tpm2-tools sealed, and make the same policy digest', async () => {
  const file = (name: string): string => path.join(software.directory, name);
  writeFileSync(file('secret'), SECRET);
  software.tool('tpm2_createpolicy', '--policy-pcr', '-l', 'sha256:7,14', '-L', 'policy');
  const attributes = 'fixedtpm|fixedparent|noda';
  const from = ['-C', '0x81000001', '-i', 'secret', '-L', 'policy', '-a', attributes];
  software.tool('tpm2_create', ...from, '-u', 'theirs.pub', '-r', 'theirs.priv');
  software.tool('tpm2_flushcontext', '-t');
  const part = (name: string): Buffer => new TpmReader(readFileSync(file(name))).sized(1024);
  const sealed = { publicArea: part('theirs.pub'), privatePart: part('theirs.priv') };
  await software.use(async (tpm) => {
    assert.equal(await unsealSecret(tpm, sealed), SECRET);
    assert.equal(pcrPolicyDigest(await tpm.readPcrs(PCRS)), readFileSync(file('policy')));
  });
});

testWhen(hasSwtpm)(
  'who listens on the bus never hears the secret; who alters an answer is found out',
  async () => {
    const tap = await BusTap.open(path.join(software.directory, 'tap'), software.socket);
    const tpm = await Tpm.open(tap.path, { clock: new SystemClock(), random: seededSource('tap') });
    try {
      const sealed = await sealSecret(tpm);
      assert.equal(await unsealSecret(tpm, sealed), SECRET);
      const heard = Buffer.concat(tap.heard);
      assert.ok(heard.includes(sealed.privatePart), 'it does listen');
      assert.is(heard.indexOf(SECRET.subarray(0, 8)), -1);
      tap.change = (bytes, command) => {
        const altered = Buffer.from(bytes);
        if (command === COMMAND.unseal) altered.writeUInt8(altered.readUInt8(20) ^ 1, 20); // in the secret's ciphertext
        return altered;
      };
      const error = await rejectsWith(unsealSecret(tpm, sealed), 'tpm-protocol');
      assert.match(error.message, /not authentic/);
    } finally {
      await tpm.close();
      await tap.close();
    }
  },
);

testWhen(hasSwtpm)(
  'flipped bits on the bus give an error with a code or change nothing, never a wrong secret',
  async () => {
    const tap = await BusTap.open(path.join(software.directory, 'tap'), software.socket);
    const stream = new SeededStream('flips');
    const name = await software.use((tpm) => tpm.withStorageRoot({}, (root) => Promise.resolve(root.name)));
    const sealed = await software.use((tpm) => sealSecret(tpm));
    let refused = 0;
    for (let number = 0; number < count(60, 1_000); number++) {
      const tpm = await Tpm.open(tap.path, {
        clock: new SystemClock(),
        random: seededSource(String(number)),
      });
      const chosen = 1 + (number % 8);
      let answers = 0;
      tap.change = (bytes) => {
        if (++answers !== chosen) return bytes;
        const altered = Buffer.from(bytes);
        // Behind the size: a socket with a wrong size in it waits or ends, which is tested by itself.
        const at = 6 + (Buffer.from(stream.bytes(2)).readUInt16BE() % (altered.length - 6));
        altered.writeUInt8(altered.readUInt8(at) ^ (1 << (number % 8)), at);
        return altered;
      };
      const outcome: unknown = await unsealSecret(tpm, sealed, PCRS, name).catch((error: unknown) => error);
      if (outcome instanceof Error) assert.ok(isEntropyError(outcome), outcome.stack ?? outcome.message);
      else assert.equal(outcome, SECRET);
      if (outcome instanceof Error) refused++;
      tap.change = (bytes) => bytes;
      await tpm.close();
      // What a wrong answer kept us from flushing; a kernel's resource manager does this when a program goes.
      await software.reboot();
    }
    assert.ok(refused > 10, `${refused} were refused`);
    await tap.close();
  },
);

testWhen(hasSwtpm)(
  'a root key that somebody on the bus puts in its place is not the pinned one',
  async () => {
    const [tap, intruder] = [
      await BusTap.open(path.join(software.directory, 'tap'), software.socket),
      await SoftwareTpm.start(),
    ];
    try {
      const name = await software.use((tpm) => tpm.withStorageRoot({}, (root) => Promise.resolve(root.name)));
      const theirs = await intruder.use((tpm) =>
        tpm.withStorageRoot({}, (root) => Promise.resolve(root.publicArea)),
      );
      const tpm = await Tpm.open(tap.path, { clock: new SystemClock(), random: seededSource('tap') });
      tap.change = (bytes, command) => {
        const altered = Buffer.from(bytes);
        if (command === COMMAND.readPublic) theirs.copy(altered, 12);
        return altered;
      };
      const sealed = await sealSecret(tpm).catch(() => undefined);
      assert.is(sealed, undefined, 'a salt for the wrong key gives no session');
      tap.change = (bytes, command) => {
        const altered = Buffer.from(bytes);
        if (command === COMMAND.readPublic) theirs.copy(altered, 12);
        if (command === COMMAND.createPrimary) theirs.copy(altered, 20);
        return altered;
      };
      await rejectsWith(
        tpm.withStorageRoot({ pinnedName: name }, () => Promise.resolve()),
        'tpm-root-changed',
      );
      await tpm.close();
    } finally {
      await tap.close();
      await intruder.remove();
    }
  },
);

testWhen(hasSwtpm)(
  'a secret of no bytes, or of more than TPMs seal, is a mistake of the caller',
  async () => {
    await software.use((tpm) =>
      tpm.withStorageRoot({}, async (root) => {
        for (const bytes of [0, 129]) {
          const sealing = tpm.seal({ root, secret: Buffer.alloc(bytes, 1), policyDigest: DIGEST });
          assert.ok(isA(RangeError)(await sealing.catch((error: unknown) => error)));
        }
        const most = Buffer.alloc(128, 7);
        const policyDigest = pcrPolicyDigest(await tpm.readPcrs([]));
        const sealed = await tpm.seal({ root, secret: most, policyDigest });
        assert.equal(await tpm.unseal({ root, sealed, pcrs: [] }), most);
      }),
    );
  },
);

test.after(async () => {
  if (hasSwtpm) await software.remove();
});

test.run();
