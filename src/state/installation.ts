import { createHash, createPublicKey, verify } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { EntropyError, errnoOf } from '../base/errors.ts';

/** What was verified, and by whom it is vouched for. */
export interface VerifiedInstallation {
  /** `local` for a build that nobody signed, else `sha256:` and the digest of the release key. */
  readonly signer: string;
  readonly files: number;
  /**
   * Stands for verdict and signer: the same for each release under one key, so that an upgrade still opens what was sealed; of a local
   * build it covers the manifest, so that another build does not.
   */
  readonly measurement: Buffer;
}

/** The Node that runs this: told, not judged, since the distribution brings and updates it. */
export interface RunningNode {
  readonly path: string;
  readonly sha256: string;
}

/** Made by scripts/manifest.mjs, after all else was built. */
export const MANIFEST = 'out/manifest.json';
/** Ed25519 over the manifest's bytes, and the public half of the release key; both or neither. */
export const SIGNATURE = 'out/manifest.sig';
export const RELEASE_KEY = 'out/release-key.pem';

const FORMAT = 1;
const MAXIMUM_FILES = 256;
const FILE_PATTERN = /^(?:out|build)(?:\/[A-Za-z0-9_][A-Za-z0-9._-]*)+$/;
const DIGEST_PATTERN = /^[0-9a-f]{64}$/;

/** The bundles, the WebAssembly modules, the addon and kernel-writer, as a manifest that was made at build says they were. */
export class Installation {
  readonly #root: string;

  constructor(options: { readonly root: string }) {
    this.#root = options.root;
  }

  /** @throws EntropyError installation-altered, with the file that differs */
  async verify(): Promise<VerifiedInstallation> {
    const manifest = await this.#read(MANIFEST);
    const signer = await this.#signer(manifest);
    const files = listed(manifest);
    await Promise.all([...files].map(([file, digest]) => this.#compare(file, digest)));
    const local = signer === 'local' ? createHash('sha256').update(manifest).digest('hex') : '';
    const measurement = createHash('sha256')
      .update(`entropy-mixer installation\0${signer}\0${local}`)
      .digest();
    return { signer, files: files.size, measurement };
  }

  /** Reads about 100 MB: not on the way of a start. */
  async runningNode(): Promise<RunningNode> {
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(process.execPath)) hash.update(chunk as Buffer);
    return { path: process.execPath, sha256: hash.digest('hex') };
  }

  async #signer(manifest: Buffer): Promise<string> {
    const [signature, key] = await Promise.all(
      [SIGNATURE, RELEASE_KEY].map((file) => this.#readIfThere(file)),
    );
    if (signature === undefined && key === undefined) return 'local';
    if (signature === undefined || key === undefined)
      throw altered('the manifest has a signature or a release key, and not both');
    let isValid = false;
    try {
      isValid = verify(null, manifest, createPublicKey(key), signature);
    } catch {
      // Not a key, or a signature of another kind.
    }
    if (!isValid) throw altered('the signature of the manifest does not hold');
    const der = createPublicKey(key).export({ type: 'spki', format: 'der' });
    return `sha256:${createHash('sha256').update(der).digest('hex')}`;
  }

  async #compare(file: string, expected: string): Promise<void> {
    const bytes = await this.#read(file);
    if (createHash('sha256').update(bytes).digest('hex') !== expected) throw altered(`${file} was changed`);
  }

  async #read(file: string): Promise<Buffer> {
    const bytes = await this.#readIfThere(file);
    if (bytes === undefined) throw altered(`${file} is missing`);
    return bytes;
  }

  async #readIfThere(file: string): Promise<Buffer | undefined> {
    try {
      return await readFile(path.join(this.#root, file));
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === 'ENOENT' || errno === 'ENOTDIR') return undefined;
      throw altered(`${file} cannot be read: ${errno ?? 'unknown'}`);
    }
  }
}

/** Files and their digests, of a manifest that is just that. */
function listed(manifest: Buffer): Map<string, string> {
  const files = new Map<string, string>();
  try {
    const parsed = JSON.parse(manifest.toString('utf8')) as { format?: unknown; files?: unknown };
    if (parsed.format !== FORMAT) throw altered('the manifest is of another format');
    const entries = Object.entries(parsed.files ?? {});
    if (entries.length === 0 || entries.length > MAXIMUM_FILES) throw altered('the manifest lists no files');
    for (const [file, digest] of entries) {
      if (!FILE_PATTERN.test(file) || typeof digest !== 'string' || !DIGEST_PATTERN.test(digest))
        throw altered('the manifest lists what is no file of an installation');
      files.set(file, digest);
    }
  } catch (error) {
    if (error instanceof EntropyError) throw error;
    throw altered('the manifest is no JSON');
  }
  return files;
}

function altered(what: string): EntropyError {
  return new EntropyError('installation-altered', what);
}
