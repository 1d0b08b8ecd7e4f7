import type { DurableFile, DurableFiles } from '../../src/durable/durable-files.ts';

/** The same files, but each one that is opened or created passes through `alter`: for disks that are bad or slow in places. */
export function filesThrough(
  files: DurableFiles,
  alter: (path: string, file: DurableFile) => DurableFile,
): DurableFiles {
  return {
    open: async (path) => {
      const file = await files.open(path);
      return file && alter(path, file);
    },
    create: async (path) => alter(path, await files.create(path)),
    rename: (from, to) => files.rename(from, to),
    remove: (path) => files.remove(path),
    makeDirectory: (path) => files.makeDirectory(path),
    list: (path) => files.list(path),
    syncDirectory: (path) => files.syncDirectory(path),
    counter: (name) => files.counter(name),
  };
}

/** The same file, with some of its operations done in another way. */
export function fileWith(file: DurableFile, changed: Partial<DurableFile>): DurableFile {
  return {
    sizeBytes: () => file.sizeBytes(),
    read: (offset, lengthBytes) => file.read(offset, lengthBytes),
    write: (offset, bytes) => file.write(offset, bytes),
    preallocate: (sizeBytes) => file.preallocate(sizeBytes),
    truncate: (sizeBytes) => file.truncate(sizeBytes),
    sync: () => file.sync(),
    close: () => file.close(),
    ...changed,
  };
}
