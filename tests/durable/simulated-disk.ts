import { createHash } from 'node:crypto';

/**
 * A disk as the crash simulator sees it: for each file and directory what is durable, the changes made since, and
 * what a running process sees (durable and changes together). Directories are known by their path, files by number,
 * since a file outlives its names.
 */
export type Entry = { readonly kind: 'file'; readonly inode: number } | { readonly kind: 'directory' };

export type Change =
  | { readonly kind: 'write'; readonly inode: number; readonly offset: number; readonly bytes: Buffer }
  | { readonly kind: 'truncate'; readonly inode: number; readonly sizeBytes: number }
  /** Entries set or removed together: a rename is one change. */
  | {
      readonly kind: 'entries';
      readonly directory: string;
      readonly names: readonly (readonly [string, Entry | undefined])[];
    };

export type Operation = { readonly label: string } & (
  | { readonly kind: 'change'; readonly change: Change }
  | { readonly kind: 'sync-file'; readonly inode: number }
  | { readonly kind: 'sync-directory'; readonly directory: string }
  | { readonly kind: 'advance'; readonly counter: string }
  | { readonly kind: 'mark'; readonly mark: string }
);

export class SimulatedDisk {
  #durableFiles = new Map<number, Buffer>();
  #durableDirectories = new Map<string, Map<string, Entry>>();
  #counters = new Map<string, number>();
  #pending: Change[] = [];
  #files = new Map<number, Buffer>();
  #directories = new Map<string, Map<string, Entry>>();
  #inodes = 0;

  /** The process's view. */
  contentOf(inode: number): Buffer {
    return this.#files.get(inode) ?? Buffer.alloc(0);
  }

  entriesOf(directory: string): ReadonlyMap<string, Entry> | undefined {
    if (directory === '') return this.#directories.get('') ?? new Map<string, Entry>();
    const [parent, name] = splitPath(directory);
    if (this.entriesOf(parent)?.get(name)?.kind !== 'directory') return undefined;
    return this.#directories.get(directory) ?? new Map<string, Entry>();
  }

  entryAt(path: string): Entry | undefined {
    const [directory, name] = splitPath(path);
    return this.entriesOf(directory)?.get(name);
  }

  counter(name: string): number {
    return this.#counters.get(name) ?? 0;
  }

  newInode(): number {
    return ++this.#inodes;
  }

  /** Changes that no sync has made durable, oldest first. */
  get pending(): readonly Change[] {
    return this.#pending;
  }

  apply(operation: Operation): void {
    switch (operation.kind) {
      case 'change':
        this.#pending.push(operation.change);
        this.#inodes = Math.max(this.#inodes, ...inodesIn(operation.change));
        applyTo(operation.change, this.#files, this.#directories);
        break;
      case 'sync-file':
        this.#makeDurable((change) => change.kind !== 'entries' && change.inode === operation.inode);
        break;
      case 'sync-directory':
        this.#makeDurable((change) => change.kind === 'entries' && change.directory === operation.directory);
        break;
      case 'advance':
        this.#counters.set(operation.counter, this.counter(operation.counter) + 1);
        break;
      case 'mark':
        break;
    }
  }

  /** What the power failure leaves when of all pending changes just these survive, in this order. */
  surviving(changes: readonly Change[]): SimulatedDisk {
    const disk = new SimulatedDisk();
    disk.#durableFiles = new Map(this.#durableFiles);
    disk.#durableDirectories = cloneDirectories(this.#durableDirectories);
    disk.#counters = new Map(this.#counters);
    disk.#inodes = this.#inodes;
    for (const change of changes) applyTo(change, disk.#durableFiles, disk.#durableDirectories);
    disk.#files = new Map(disk.#durableFiles);
    disk.#directories = cloneDirectories(disk.#durableDirectories);
    return disk;
  }

  /** The same disk: what the next process finds when only the process died. */
  clone(): SimulatedDisk {
    const disk = this.surviving([]);
    for (const change of this.#pending) disk.apply({ kind: 'change', label: '', change });
    return disk;
  }

  /** Everything so far becomes durable. */
  settle(): void {
    this.#makeDurable(() => true);
  }

  /** Equal for disks that no program could tell apart. */
  digest(): string {
    const hash = createHash('sha1');
    const visit = (directory: string): void => {
      const entries = [...(this.entriesOf(directory) ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
      for (const [name, entry] of entries) {
        const path = joinPath(directory, name);
        const content = entry.kind === 'file' ? this.contentOf(entry.inode) : Buffer.alloc(0);
        hash.update(`${entry.kind} ${path} ${content.length}\n`).update(content);
        if (entry.kind === 'directory') visit(path);
      }
    };
    visit('');
    return hash.update(JSON.stringify([...this.#counters].sort())).digest('hex');
  }

  #makeDurable(selects: (change: Change) => boolean): void {
    for (const change of this.#pending.filter(selects)) {
      applyTo(change, this.#durableFiles, this.#durableDirectories);
    }
    this.#pending = this.#pending.filter((change) => !selects(change));
  }
}

/** Files that a change names: what is made later is none of them. */
function inodesIn(change: Change): number[] {
  if (change.kind !== 'entries') return [change.inode];
  return change.names.flatMap(([, entry]) => (entry?.kind === 'file' ? [entry.inode] : []));
}

export function splitPath(path: string): [directory: string, name: string] {
  const slash = path.lastIndexOf('/');
  return slash === -1 ? ['', path] : [path.slice(0, slash), path.slice(slash + 1)];
}

export function joinPath(directory: string, name: string): string {
  return directory === '' ? name : `${directory}/${name}`;
}

/** Contents are never changed in place, so disks may share them. */
function applyTo(
  change: Change,
  files: Map<number, Buffer>,
  directories: Map<string, Map<string, Entry>>,
): void {
  if (change.kind === 'entries') {
    const entries = directories.get(change.directory) ?? new Map<string, Entry>();
    directories.set(change.directory, entries);
    for (const [name, entry] of change.names) {
      if (entry === undefined) entries.delete(name);
      else entries.set(name, entry);
    }
    return;
  }
  const before = files.get(change.inode) ?? Buffer.alloc(0);
  const sizeBytes =
    change.kind === 'truncate'
      ? change.sizeBytes
      : Math.max(before.length, change.offset + change.bytes.length);
  const after = Buffer.alloc(sizeBytes);
  before.copy(after);
  if (change.kind === 'write') change.bytes.copy(after, change.offset);
  files.set(change.inode, after);
}

function cloneDirectories(directories: Map<string, Map<string, Entry>>): Map<string, Map<string, Entry>> {
  return new Map([...directories].map(([path, entries]) => [path, new Map(entries)]));
}
