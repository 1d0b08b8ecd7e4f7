import { EntropyError } from '../base/errors.ts';
import { SEED_MAXIMUM_BYTES } from '../protocol/install-seed.ts';
import type { StateArchive } from './state-archive.ts';
import { isInteger, isObject } from './feeder-record.ts';

/** What is remembered of a scripted install: a document of the state archive. The seed itself is in its area beside the caches. */

export interface InstallRecord {
  readonly installedMs: number;
  /** The mask that the kickstart named; null when it named none. */
  readonly sources: number | null;
  /** Null when the kickstart had none. */
  readonly seed: InstallSeedRecord | null;
}

export interface InstallSeedRecord {
  readonly bytes: number;
  /** Credit in 1/1024 bit per byte. */
  readonly rateUnits: number;
  /** Equal on two hosts when their seeds are; it tells nothing else of the seed. */
  readonly fingerprint: string;
  readonly usedUp: boolean;
}

export const INSTALL_RECORD = 'install.json';
const VERSION = 1;
const FINGERPRINT = /^[0-9a-f]{4}(?:-[0-9a-f]{4}){3}$/;

export function encodeInstallRecord(record: InstallRecord): Buffer {
  return Buffer.from(`${JSON.stringify({ version: VERSION, ...record }, null, 1)}\n`);
}

/** Undefined when the state was not installed from a kickstart. Throws `state-damaged`, `state-version-newer`. */
export function readInstallRecord({
  archive,
}: {
  readonly archive: StateArchive;
}): InstallRecord | undefined {
  const document = archive.document(INSTALL_RECORD);
  return document === undefined ? undefined : decodeInstallRecord(document);
}

export function decodeInstallRecord(document: Buffer): InstallRecord {
  const content = parseJson(document);
  if (!isObject(content) || !Number.isInteger(content.version)) throw damaged();
  if (content.version !== VERSION)
    throw new EntropyError('state-version-newer', `${INSTALL_RECORD} has version ${String(content.version)}`);
  const { installedMs, sources, seed } = content;
  if (!isInteger(installedMs, 0, Number.MAX_SAFE_INTEGER)) throw damaged();
  if (sources !== null && !isInteger(sources, 0, 15)) throw damaged();
  return { installedMs, sources, seed: seed === null ? null : seedFrom(seed) };
}

function seedFrom(content: unknown): InstallSeedRecord {
  if (!isObject(content)) throw damaged();
  const { bytes, rateUnits, fingerprint, usedUp } = content;
  if (!isInteger(bytes, 1, SEED_MAXIMUM_BYTES) || !isInteger(rateUnits, 1, 8192)) throw damaged();
  if (typeof fingerprint !== 'string' || !FINGERPRINT.test(fingerprint)) throw damaged();
  if (typeof usedUp !== 'boolean') throw damaged();
  return { bytes, rateUnits, fingerprint, usedUp };
}

function parseJson(document: Buffer): unknown {
  try {
    return JSON.parse(document.toString('utf8'));
  } catch {
    throw damaged();
  }
}

function damaged(): EntropyError {
  return new EntropyError('state-damaged', `${INSTALL_RECORD} is not the record of an install`);
}
