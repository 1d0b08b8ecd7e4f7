import { EntropyError } from '../../src/base/errors.ts';
import {
  assertPath,
  directoryOf,
  type DurableCounter,
  type DurableFile,
  type DurableFiles,
} from '../../src/durable/durable-files.ts';
import { SimulatedDisk, splitPath, type Change, type Entry, type Operation } from './simulated-disk.ts';

/** What kind of operation asks for a fault, and on which path. */
export type Fault = (operation: string, path: string) => Error | undefined;

/**
 * DurableFiles in memory, on a simulated disk. Every operation that changes or syncs something is recorded. A `fault`
 * makes operations fail before they do anything: `files.fault = failing('sync')`.
 */
export class SimulatedFiles implements DurableFiles {
  readonly disk: SimulatedDisk;
  readonly operations: Operation[] = [];
  /** Syncs of files and directories so far. */
  syncs = 0;
  fault: Fault | undefined;
  readonly #ignoredSync: number | undefined;

  /** The sync with this number, from 0, is recorded but does nothing. */
  constructor(disk: SimulatedDisk = new SimulatedDisk(), ignoredSync?: number) {
    this.disk = disk;
    this.#ignoredSync = ignoredSync;
  }

  open(path: string): Promise<DurableFile | undefined> {
    return this.#attempt('open', path, () => {
      const entry = this.disk.entryAt(path);
      return entry?.kind === 'file' ? this.#handle(path, entry.inode) : undefined;
    });
  }

  create(path: string): Promise<DurableFile> {
    return this.#attempt('create', path, () => {
      if (this.disk.entryAt(path) !== undefined) throw new Error(`broken invariant: ${path} exists already`);
      const inode = this.disk.newInode();
      this.#change(`create ${path}`, this.#entries(path, [[path, { kind: 'file', inode }]]));
      return this.#handle(path, inode);
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.#attempt('rename', to, () => {
      assertPath(from);
      if (directoryOf(from) !== directoryOf(to))
        throw new RangeError('a file is renamed within its directory');
      const entry = this.disk.entryAt(from);
      if (entry === undefined) throw new EntropyError('state-unwritable', `rename ${from}: ENOENT`);
      const names = [
        [from, undefined],
        [to, entry],
      ] as const;
      this.#change(`rename ${from} to ${to}`, this.#entries(to, names));
    });
  }

  remove(path: string): Promise<boolean> {
    return this.#attempt('remove', path, () => {
      if (this.disk.entryAt(path) === undefined) return false;
      this.#change(`remove ${path}`, this.#entries(path, [[path, undefined]]));
      return true;
    });
  }

  makeDirectory(path: string): Promise<boolean> {
    return this.#attempt('makeDirectory', path, () => {
      if (this.disk.entryAt(path) !== undefined) return false;
      this.#change(`make directory ${path}`, this.#entries(path, [[path, { kind: 'directory' }]]));
      return true;
    });
  }

  list(path: string): Promise<string[]> {
    return this.#attempt('list', path, () => [...(this.disk.entriesOf(path)?.keys() ?? [])].sort());
  }

  syncDirectory(path: string): Promise<void> {
    return this.#attempt('sync', path, () => {
      if (this.disk.entriesOf(path) === undefined)
        throw new EntropyError('state-unwritable', `sync ${path}: ENOENT`);
      this.#sync({ kind: 'sync-directory', directory: path, label: `sync directory ${path || '/'}` });
    });
  }

  counter(name: string): DurableCounter {
    assertPath(name);
    return {
      read: () => this.#attempt('read', name, () => this.disk.counter(name)),
      advance: () =>
        this.#attempt('advance', name, () => {
          this.#record({ kind: 'advance', counter: name, label: `advance ${name}` });
          return this.disk.counter(name);
        }),
    };
  }

  /** Notes that the run has got here: a promise it made has resolved. */
  mark(mark: string): void {
    this.operations.push({ kind: 'mark', mark, label: `mark ${mark}` });
  }

  #handle(path: string, inode: number): DurableFile {
    const content = (): Buffer => this.disk.contentOf(inode);
    const write = (offset: number, bytes: Uint8Array): void => {
      if (bytes.length === 0) return;
      const change = { kind: 'write', inode, offset, bytes: Buffer.from(bytes) } as const;
      this.#change(`write ${path} ${offset}+${bytes.length}`, change);
    };
    return {
      sizeBytes: () => this.#attempt('read', path, () => content().length),
      read: (offset, lengthBytes) =>
        this.#attempt('read', path, () => Buffer.from(content().subarray(offset, offset + lengthBytes))),
      write: (offset, bytes) => this.#attempt('write', path, () => write(offset, bytes)),
      preallocate: (sizeBytes) =>
        this.#attempt('write', path, () => {
          write(content().length, Buffer.alloc(Math.max(0, sizeBytes - content().length)));
        }),
      truncate: (sizeBytes) =>
        this.#attempt('write', path, () => {
          this.#change(`truncate ${path} ${sizeBytes}`, { kind: 'truncate', inode, sizeBytes });
        }),
      sync: () =>
        this.#attempt('sync', path, () =>
          this.#sync({ kind: 'sync-file', inode, label: `sync file ${path}` }),
        ),
      close: () => Promise.resolve(),
    };
  }

  #entries(path: string, names: readonly (readonly [string, Entry | undefined])[]): Change {
    const directory = directoryOf(path);
    if (this.disk.entriesOf(directory) === undefined) {
      throw new EntropyError('state-unwritable', `${path}: ENOENT`);
    }
    return { kind: 'entries', directory, names: names.map(([name, entry]) => [splitPath(name)[1], entry]) };
  }

  #change(label: string, change: Change): void {
    this.#record({ kind: 'change', label, change });
  }

  #sync(operation: Operation): void {
    const ignored = this.syncs++ === this.#ignoredSync;
    if (ignored) this.operations.push({ kind: 'mark', mark: '', label: `${operation.label} (ignored)` });
    else this.#record(operation);
  }

  #record(operation: Operation): void {
    this.disk.apply(operation);
    this.operations.push(operation);
  }

  async #attempt<T>(operation: string, path: string, work: () => T): Promise<T> {
    assertPath(path, operation === 'list' || operation === 'sync');
    await Promise.resolve();
    const fault = this.fault?.(operation, path);
    if (fault !== undefined) throw fault;
    return work();
  }
}

/** A fault of every operation of this kind (on this path): what a full or failing disk answers. */
export function failing(operation: string, onPath?: string): Fault {
  return (asked, path) =>
    asked === operation && (onPath === undefined || path === onPath)
      ? new EntropyError('state-unwritable', `${operation} ${path}: ENOSPC`)
      : undefined;
}
