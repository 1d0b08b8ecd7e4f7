import { X509Certificate } from 'node:crypto';
import { open, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { isIP } from 'node:net';
import path from 'node:path';
import { wipe } from '../base/bytes.ts';
import { EntropyError, errnoOf, messageOf } from '../base/errors.ts';
import { pinOf, validUntilMs } from '../base/tls-files.ts';
import { MS_PER_SECOND } from '../base/units.ts';
import { numberOf, optionalTextOf, succeeded, type Answer, type Surroundings } from './answer.ts';
import type { Invocation } from './command-line.ts';
import { writeSecretFile } from './key-files.ts';

const MS_PER_DAY = 86_400 * MS_PER_SECOND;
/** Clocks of a lab differ. */
const BACKDATED_MS = 3_600 * MS_PER_SECOND;
/** RFC 1123 2.1, with a leading wildcard. */
const DNS_NAME =
  /^(?:\*\.)?(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/i;

/**
 * Writes a key and its self-signed certificate: both files or neither. Throws `usage` for a name that is none, `file-exists`,
 * `file-unwritable`.
 */
export async function selfSigned(invocation: Invocation, surroundings: Surroundings): Promise<Answer> {
  const { workingDirectory, clock } = surroundings;
  const certificateFile = optionalTextOf(invocation, 'cert') ?? '';
  const keyFile = optionalTextOf(invocation, 'key') ?? '';
  const names = namesOf(invocation);
  const nowMs = clock.wallMs();
  const notAfterMs = nowMs + numberOf(invocation, 'days') * MS_PER_DAY;
  let leaf: X509Certificate | undefined;
  await writeSecretFile({ workingDirectory, name: keyFile }, async () => {
    const { makeSelfSigned } = await import('./self-signed-certificate.ts');
    const { certificate, key } = await makeSelfSigned({
      names,
      notBeforeMs: nowMs - BACKDATED_MS,
      notAfterMs,
    });
    try {
      leaf = new X509Certificate(certificate);
      await writeNewFile(path.resolve(workingDirectory, certificateFile), certificateFile, certificate);
      return key;
    } catch (error) {
      wipe(key);
      throw error;
    }
  });
  if (leaf === undefined) throw new Error('broken invariant: a written pair has a certificate');
  return answerOf(invocation, { certificateFile, keyFile, names, leaf });
}

function answerOf(
  invocation: Invocation,
  made: {
    readonly certificateFile: string;
    readonly keyFile: string;
    readonly names: readonly string[];
    readonly leaf: X509Certificate;
  },
): Answer {
  const { certificateFile, keyFile, names, leaf } = made;
  const pin = pinOf(leaf).toString('hex');
  const validUntil = new Date(validUntilMs(leaf)).toISOString();
  const text = [
    `The certificate is in ${certificateFile}, its key in ${keyFile}. It holds for ${names.join(', ')}, until ${validUntil}.`,
    `Serve it:    entropyd --tls-cert ${certificateFile} --tls-key ${keyFile}`,
    `Trust it:    entropy-feed --ca ${certificateFile}, or --pin ${pin}`,
  ];
  return {
    ...succeeded(invocation, { certificateFile, keyFile, names: names.join(', '), validUntil, pin }),
    text: text.map((line) => `   ${line}\n`).join(''),
  };
}

function namesOf(invocation: Invocation): string[] {
  const given = optionalTextOf(invocation, 'name');
  if (given === undefined) return [...new Set([hostname(), 'localhost', '127.0.0.1', '::1'])].filter(isName);
  const names = given.split(',');
  const wrong = names.find((name) => !isName(name));
  if (wrong !== undefined)
    throw new EntropyError('usage', `"${wrong}" is neither a DNS name nor an IP address`);
  return names;
}

function isName(name: string): boolean {
  return isIP(name) !== 0 || (DNS_NAME.test(name) && !/^[\d.]+$/.test(name));
}

async function writeNewFile(file: string, name: string, content: string): Promise<void> {
  try {
    const handle = await open(file, 'wx', 0o644);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } catch (error) {
      await unlink(file).catch(() => undefined);
      throw error;
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') throw new EntropyError('file-exists', `there is a file ${name} already`);
    throw new EntropyError('file-unwritable', `cannot write ${name} (${errnoOf(error) ?? messageOf(error)})`);
  }
}
