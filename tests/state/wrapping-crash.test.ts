import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EntropyError } from '../../src/base/errors.ts';
import { replaceFile } from '../../src/durable/atomic-file.ts';
import { readWhole, type DurableFiles } from '../../src/durable/durable-files.ts';
import type { EncryptionInfo } from '../../src/state/encryption-info.ts';
import { NoneWrapping } from '../../src/state/none-wrapping.ts';
import type { KeyWrapping, RootKey } from '../../src/state/root-key.ts';
import { exploreCrashes, findViolation, type CrashScenario } from '../durable/crash-simulator.ts';
import { seededSource } from '../fakes/seeded-stream.ts';
import { CURRENT, openArchive, PREVIOUS } from './state-archive-fixture.ts';

/**
 * What wraps the archive's key changes while the disk may stop at any operation: a passphrase joins and leaves, a seal is suspended and
 * holds again. At every stop both archives open by the way before or by the way after; once the change has ended, by the way after alone.
 */

const PASSPHRASE = 'correct horse battery staple';
const COST = { N: 1024, r: 8, p: 1 } as const;
let opened = 0;

function noneWrapping(passphrase: string | undefined): NoneWrapping {
  return new NoneWrapping({
    random: seededSource(`wrapping ${opened++}`),
    passphrase: () => (passphrase === undefined ? undefined : Buffer.from(passphrase)),
    cost: COST,
  });
}

/** Of the current archive, by this wrapping: what it says, or why it does not open. */
async function saidBy(files: DurableFiles, wrapping: KeyWrapping): Promise<string | undefined> {
  const archive = await openArchive(files, [wrapping]);
  return archive.refused?.code ?? archive.document('config.json')?.toString();
}

/** Looks at the current archive, and then at the one before in its place. */
async function ofBoth(files: DurableFiles, look: (content: string) => Promise<void>): Promise<void> {
  await look('two');
  await replaceFile(files, CURRENT, (await readWhole(files, PREVIOUS, 1 << 25))!);
  await look('one');
}

async function twoArchives(files: DurableFiles, wrapping: KeyWrapping): Promise<void> {
  const archive = await openArchive(files, [wrapping]);
  await archive.save('config.json', Buffer.from('one'));
  await archive.save('config.json', Buffer.from('two'));
  await archive.close();
}

type Way = 'plain' | 'joined';

const REFUSED = { plain: 'passphrase-unjoined', joined: 'passphrase-needed' } as const;

/** Which way it opens; the other start is refused with its own code, and nothing opens by both. */
async function wayIn(files: DurableFiles, content: string): Promise<Way> {
  const without = await saidBy(files, noneWrapping(undefined));
  const withIt = await saidBy(files, noneWrapping(PASSPHRASE));
  const way = without === content ? 'plain' : 'joined';
  assert.equal(
    [without, withIt],
    way === 'plain' ? [content, REFUSED.plain] : [REFUSED.joined, content],
    'an archive opens by one way alone',
  );
  return way;
}

/** From one way to the other, by a new archive key, as `passphrase set` and `remove` do. */
function changing(from: Way): CrashScenario {
  const given = { plain: undefined, joined: PASSPHRASE };
  const to = from === 'plain' ? 'joined' : 'plain';
  return {
    setup: (files) => twoArchives(files, noneWrapping(given[from])),
    run: async (files, mark) => {
      const wrapping = noneWrapping(given[from]);
      const archive = await openArchive(files, [wrapping]);
      mark('begun');
      const passphrase = given[to] === undefined ? undefined : Buffer.from(given[to]);
      await archive.rotate({ prepare: () => wrapping.join(passphrase) });
      mark('changed');
    },
    check: (files, stop) =>
      ofBoth(files, async (content) => {
        const way = await wayIn(files, content);
        if (stop.completed.has('changed')) assert.is(way, to, 'the way before still opens it');
        else if (!stop.completed.has('begun')) assert.is(way, from);
      }),
  };
}

test('a passphrase joins: at every stop both archives open, with it or without, never both ways', async () => {
  const { operations, disks } = await exploreCrashes(changing('plain'));
  assert.ok(operations > 10 && disks > 20, `${operations} operations, ${disks} disks`);
});

test('and it leaves', async () => {
  await exploreCrashes(changing('joined'));
});

/** Of the archive before, of the current one, of their directory. */
for (const ignoreSync of [1, 3, 4]) {
  test(`without sync ${ignoreSync} a crash breaks that`, async () => {
    const violation = await findViolation(changing('plain'), { ignoreSync });
    assert.match(String(violation), /opens by one way alone|the way before still opens it/);
  });
}

/**
 * A seal as a TPM keeps it, for machines of two kinds: what is sealed firmly opens where it was made, what is suspended also after an
 * update of the firmware.
 */
class Seal implements KeyWrapping {
  readonly mode = 'NONE';
  readonly #none = noneWrapping(undefined);
  readonly #isUpdated: boolean;
  #isSuspended = false;

  constructor({ isUpdated }: { readonly isUpdated: boolean }) {
    this.#isUpdated = isUpdated;
  }

  /** As TpmWrapping has it: for what is wrapped from now on; gives what takes that back. */
  suspend(isSuspended: boolean): Promise<() => void> {
    const before = this.#isSuspended;
    this.#isSuspended = isSuspended;
    return Promise.resolve(() => (this.#isSuspended = before));
  }

  async wrap(key: RootKey): Promise<ReadonlyMap<string, string>> {
    const fields = await this.#none.wrap(key);
    return new Map([...fields, ['none.suspended', String(this.#isSuspended)]]);
  }

  unwrap(info: EncryptionInfo): Promise<Buffer> {
    const isSuspended = info.fields.get('none.suspended') === 'true';
    if (this.#isUpdated && !isSuspended)
      return Promise.reject(new EntropyError('tpm-pcr-changed', 'the PCRs changed'));
    return this.#none.unwrap(info);
  }
}

/** From firm to suspended, or back, by the same archive key, as `mixer seal suspend` does. */
function sealing(isSuspended: boolean): CrashScenario {
  const [before, after] = isSuspended ? ['tpm-pcr-changed', 'opens'] : ['opens', 'tpm-pcr-changed'];
  const seal = async (): Promise<Seal> => {
    const made = new Seal({ isUpdated: false });
    await made.suspend(!isSuspended);
    return made;
  };
  return {
    setup: async (files) => twoArchives(files, await seal()),
    run: async (files, mark) => {
      const wrapping = await seal();
      const archive = await openArchive(files, [wrapping]);
      mark('begun');
      await archive.rewrap({ prepare: () => wrapping.suspend(isSuspended) });
      mark('changed');
    },
    check: (files, stop) =>
      ofBoth(files, async (content) => {
        assert.is(await saidBy(files, new Seal({ isUpdated: false })), content, 'lost where it was made');
        const said = await saidBy(files, new Seal({ isUpdated: true }));
        const updated = said === content ? 'opens' : said;
        if (stop.completed.has('changed')) assert.is(updated, after, 'an update meets the way before');
        else if (!stop.completed.has('begun')) assert.is(updated, before);
      }),
  };
}

test('a seal is suspended: it opens where it was made at every stop, and once told also after an update', async () => {
  const { disks } = await exploreCrashes(sealing(true));
  assert.ok(disks > 20, `${disks} disks`);
});

test('and holds again: after an update nothing opens any more', async () => {
  await exploreCrashes(sealing(false));
});

test.run();
