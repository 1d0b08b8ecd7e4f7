import { closeSync, openSync, readSync } from 'node:fs';
import { ReadStream } from 'node:tty';
import { secretBytes, wipe } from '../base/bytes.ts';
import { EntropyError, messageOf } from '../base/errors.ts';
import { readSecretFile } from '../base/secret-file.ts';

/** Where a secret comes from: never a command line, which every user of the host can read. */
export interface SecretPlace {
  readonly descriptor: number | undefined;
  readonly file: string | undefined;
}

/**
 * The bytes of a secret from a descriptor up to its end, from a private file, or typed on the terminal without echo; the caller's
 * to wipe. Throws `usage` when there is none of the three, `key-file-exposed`, `input-failed`.
 */
export async function readSecret(place: SecretPlace, prompt: string, maximumBytes: number): Promise<Buffer> {
  if (place.descriptor !== undefined) return readDescriptor(place.descriptor, maximumBytes);
  if (place.file !== undefined) return readSecretFile(place.file, maximumBytes, 'input-failed');
  return await typed(prompt, maximumBytes);
}

function readDescriptor(descriptor: number, maximumBytes: number): Buffer {
  // One byte more, so that what is longer is seen to be.
  const read = secretBytes(maximumBytes + 1);
  try {
    let length = 0;
    while (length < read.length) {
      const count = readSync(descriptor, read, length, read.length - length, null);
      if (count === 0) break;
      length += count;
    }
    if (length > maximumBytes)
      throw new EntropyError('input-failed', `descriptor ${descriptor} holds over ${maximumBytes} bytes`);
    const secret = secretBytes(length);
    read.copy(secret);
    return secret;
  } catch (error) {
    if (error instanceof EntropyError) throw error;
    throw new EntropyError('input-failed', `descriptor ${descriptor} cannot be read: ${messageOf(error)}`);
  } finally {
    wipe(read);
  }
}

const ENTER = [0x0d, 0x0a, 0x04];
const ERASE = [0x7f, 0x08];
const INTERRUPT = 0x03;

/** A line of the terminal, kept in a buffer of its own. */
async function typed(prompt: string, maximumBytes: number): Promise<Buffer> {
  const terminal = openTerminal();
  const line = secretBytes(maximumBytes);
  let length = 0;
  try {
    terminal.setRawMode(true);
    process.stderr.write(prompt);
    for await (const chunk of terminal as AsyncIterable<Buffer>) {
      for (const byte of chunk) {
        if (byte === INTERRUPT) throw new EntropyError('usage', 'interrupted: nothing was changed');
        if (ENTER.includes(byte)) {
          wipe(chunk);
          const secret = secretBytes(length);
          line.copy(secret);
          return secret;
        }
        if (ERASE.includes(byte)) length = Math.max(0, length - 1);
        else if (length < maximumBytes) line.writeUInt8(byte, length++);
      }
      wipe(chunk);
    }
    throw new EntropyError('usage', 'the terminal ended before a line did: nothing was changed');
  } finally {
    wipe(line);
    terminal.setRawMode(false);
    terminal.destroy();
    process.stderr.write('\n');
  }
}

function openTerminal(): ReadStream {
  let descriptor: number | undefined;
  try {
    descriptor = openSync('/dev/tty', 'r');
    return new ReadStream(descriptor);
  } catch (error) {
    if (descriptor !== undefined) closeSync(descriptor);
    throw new EntropyError(
      'usage',
      'there is no terminal to ask on: give the key by --recovery-key-file FILE or --recovery-key-fd N, never on the command line',
      { cause: error },
    );
  }
}
