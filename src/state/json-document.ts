import { EntropyError } from '../base/errors.ts';
import { isObject } from './feeder-record.ts';

/** A document of the archive that is JSON: one object with a version. */

export function encodeJsonDocument(version: number, content: object): Buffer {
  return Buffer.from(`${JSON.stringify({ version, ...content }, null, 1)}\n`);
}

/** Throws `state-damaged`, `state-version-newer`. */
export function decodeJsonDocument(name: string, version: number, document: Buffer): Record<string, unknown> {
  const content = parseJson(name, document);
  if (!isObject(content) || !Number.isInteger(content.version))
    throw new EntropyError('state-damaged', `${name} is not an object with a version`);
  if (content.version !== version)
    throw new EntropyError('state-version-newer', `${name} has version ${String(content.version)}`);
  return content;
}

function parseJson(name: string, document: Buffer): unknown {
  try {
    return JSON.parse(document.toString('utf8'));
  } catch (error) {
    throw new EntropyError('state-damaged', `${name} is not JSON`, { cause: error });
  }
}
