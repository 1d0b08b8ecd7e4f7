import { readWhole, type DurableFiles } from '../../src/durable/durable-files.ts';
import { NoneWrapping, type KeyWrapping } from '../../src/state/root-key.ts';
import { StateArchive } from '../../src/state/state-archive.ts';
import { SimulatedFiles } from '../durable/simulated-files.ts';
import { seededSource } from '../fakes/seeded-stream.ts';

/** Archives of mode NONE on a simulated disk, and what lies of them on it. */

export const CURRENT = 'bootbank/state.tgz';
export const PREVIOUS = 'bootbank/state.previous.tgz';
export const random = seededSource();

export function openArchive(files: DurableFiles, wrappings?: readonly KeyWrapping[]): Promise<StateArchive> {
  return StateArchive.open(
    { mode: 'NONE' },
    { files, random, wrappings: wrappings ?? [new NoneWrapping({ random })] },
  );
}

export function textOf(archive: StateArchive, name: string): string | undefined {
  return archive.document(name)?.toString();
}

export async function bytesOf(files: DurableFiles, path = CURRENT): Promise<Buffer> {
  return (await readWhole(files, path, 1 << 25)) ?? Buffer.alloc(0);
}

/** Files on which the archive holds `a` = one, then two. */
export async function filesWithTwoVersions(): Promise<SimulatedFiles> {
  const files = new SimulatedFiles();
  const archive = await openArchive(files);
  await archive.save('a', Buffer.from('one'));
  await archive.save('a', Buffer.from('two'));
  await archive.close();
  return files;
}
