import { randomFillSync } from 'node:crypto';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { HeldKeys } from '../../src/cache/cache-keys.ts';
import { DEFAULT_GEOMETRY } from '../../src/cache/storage-layout.ts';
import { StorageVolume } from '../../src/cache/storage-volume.ts';
import { NodeFiles } from '../../src/durable/node-files.ts';
import { Bootbank, openDocuments } from '../../src/state/bootbank.ts';
import { CACHE_KEYS, decodeCacheKeys } from '../../src/state/cache-key-ring.ts';
import { unwrapByRecovery } from '../../src/state/recovery-wrapping.ts';
import { RootKey } from '../../src/state/root-key.ts';

export interface KeysOnDisk {
  /** K. */
  readonly archiveKey: Buffer;
  readonly documents: ReadonlyMap<string, Buffer>;
  /** Of the cache's segments, in their order. */
  readonly segmentKeys: readonly Buffer[];
}

/** All keys that a state directory holds, by the recovery key, from a copy: the daemon goes on. */
export async function keysOnDisk(stateDirectory: string, recoveryKey: Buffer): Promise<KeysOnDisk> {
  const copy = mkdtempSync(path.join(tmpdir(), 'state-copy-'));
  try {
    cpSync(stateDirectory, copy, { recursive: true });
    const files = await NodeFiles.open({ root: copy });
    const sealed = (await new Bootbank({ files }).load())!;
    const archiveKey = unwrapByRecovery(sealed.info, recoveryKey);
    const documents = await openDocuments(sealed.envelope, RootKey.of(sealed.info, Buffer.from(archiveKey)));
    const { volume } = await StorageVolume.open(
      { directory: 'cache', geometry: DEFAULT_GEOMETRY, pages: 1 },
      {
        files,
        random: (target) => void randomFillSync(target),
        heldKeys: new HeldKeys(decodeCacheKeys(documents.get(CACHE_KEYS)!)),
      },
    );
    const segments = Array.from({ length: volume.segmentCount }, (_, segment) => segment);
    const segmentKeys = segments.map((segment) => Buffer.from(volume.keys.keyOf(segment)));
    await volume.close();
    return { archiveKey, documents, segmentKeys };
  } finally {
    rmSync(copy, { recursive: true });
  }
}
