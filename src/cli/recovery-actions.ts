import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { wipe } from '../base/bytes.ts';
import { EntropyError, errnoOf, EXIT, messageOf } from '../base/errors.ts';
import { RECIPIENT_TEXT } from '../contract/recovery.ts';
import { ROUTES } from '../contract/routes.ts';
import { optionalTextOf, succeeded, type Answer, type Surroundings } from './answer.ts';
import type { Invocation } from './command-line.ts';

const SHOWN = /^(\{[0-9A-F-]{36}\}) ([0-9]{6}(?:-[0-9]{6}){15})\n$/;

/** The recovery key. Here it becomes text, since that is what was asked for; this process ends when it is printed. */
export async function recoveryKey(
  invocation: Invocation,
  { client, isTerminal }: Surroundings,
): Promise<Answer> {
  const line = await client.callBytes(ROUTES.recoveryKey);
  const [, id, key] = SHOWN.exec(line.toString('latin1')) ?? [];
  wipe(line);
  if (id === undefined || key === undefined)
    throw new EntropyError('answer-invalid', 'the daemon answered no recovery key');
  const answer = succeeded(invocation, { id, key });
  return isTerminal ? { ...answer, note: CLEAR_HINT } : answer;
}

const CLEAR_HINT =
  'the key stays in the scrollback of this terminal: copy it to where it is kept, then clear that (for many terminals: printf "\\033[3J\\033[H\\033[2J"). Then: entropyctl system settings encryption recovery acknowledge';

/** Prints nothing, as esxcli does; what is to be done is said on the other stream. */
export async function rotateRecovery({ client }: Surroundings): Promise<Answer> {
  const { id, escrowFile } = await client.call(ROUTES.rotateRecovery);
  const escrow = escrowFile === '' ? '' : ` The escrow file ${escrowFile} holds it.`;
  return {
    output: null,
    note: `the recovery key is now ${id}; earlier ones open nothing. List it and keep it apart from this host.${escrow}`,
    exit: EXIT.ok,
  };
}

/** Sends the recipient's public key, and says where the file is and what opens it. */
export async function escrowRecovery(invocation: Invocation, surroundings: Surroundings): Promise<Answer> {
  const name = optionalTextOf(invocation, 'recipient') ?? '';
  const recipient = await readRecipient(path.resolve(surroundings.workingDirectory, name), name);
  const report = await surroundings.client.call(ROUTES.escrowRecovery, { body: { recipient } });
  return {
    ...succeeded(invocation, { ...report }),
    note: `${report.escrowFile} in the state directory is written anew at each rotation. It opens with: ${OPEN_COMMAND}`,
  };
}

const OPEN_COMMAND =
  'openssl pkeyutl -decrypt -inkey PRIVATE.pem -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -in recovery-key.oaep';

async function readRecipient(file: string, name: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(file, 'latin1');
  } catch (error) {
    throw new EntropyError('input-failed', `cannot read ${name} (${errnoOf(error) ?? messageOf(error)})`);
  }
  if (text.length > RECIPIENT_TEXT.maxLength || text.length < RECIPIENT_TEXT.minLength)
    throw new EntropyError('recipient-refused', `${name} is not a public key: it has ${text.length} bytes`);
  // A private key is not even sent.
  if (text.includes('PRIVATE KEY'))
    throw new EntropyError('recipient-refused', `${name} holds a private key; give its public half`);
  return text;
}
