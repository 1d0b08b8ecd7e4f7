import { randomFillSync } from 'node:crypto';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { Enrolment } from '../../src/protocol/enrolment-file.ts';
import { agree, newEphemeral } from '../../src/protocol/ephemeral-agreement.ts';
import { EMPTY_PAYLOAD, FEEDER_FRAMES, readHostFrame } from '../../src/protocol/frame-payloads.ts';
import { FrameOpener, FrameSealer } from '../../src/protocol/frame.ts';
import { encodeProof, parseHello, parseWelcome } from '../../src/protocol/handshake-messages.ts';
import { transcriptOf } from '../../src/protocol/handshake.ts';
import { FEED_SUBPROTOCOL, NONCE_BYTES } from '../../src/protocol/limits.ts';
import { deriveSessionKeys, proofOf } from '../../src/protocol/session-keys.ts';

/** What one connection of the feed was made of: every key of it, as 32 bytes. */
export type SessionSecrets = Readonly<
  Record<'sharedSecret' | 'feederProof' | 'hostProof' | 'feederToHost' | 'hostToFeeder', Buffer>
>;

const random = (target: Uint8Array): void => void randomFillSync(target);

/**
 * A feeder whose keys its test knows: it sends these payloads, as far as the host grants them, one after the other's receipt, closes, and
 * tells the keys of the session.
 */
export async function feedOpenly(
  url: string,
  enrolment: Enrolment,
  payloads: readonly Uint8Array[],
): Promise<SessionSecrets> {
  const socket = new WebSocket(url, [FEED_SUBPROTOCOL], { perMessageDeflate: false });
  const messages: Buffer[] = [];
  socket.on('message', (data) => messages.push(data as Buffer));
  const closed = once(socket, 'close');
  const next = async (): Promise<Buffer> => {
    while (messages.length === 0) {
      if (socket.readyState > socket.OPEN) throw new Error('the host closed the connection');
      await Promise.race([once(socket, 'message'), closed]);
    }
    return messages.shift()!;
  };

  const hello = await next();
  const { privateKey, ephemeral } = newEphemeral(random);
  const sharedSecret = agree(privateKey, parseHello(hello).ephemeral, 'feed-message-invalid');
  const nonce = randomFillSync(Buffer.alloc(NONCE_BYTES));
  const opening = { feeder: enrolment.feeder, nonce, ephemeral };
  const transcript = transcriptOf(hello, opening);
  const keys = deriveSessionKeys(sharedSecret, enrolment.key, transcript);
  socket.send(encodeProof({ ...opening, proof: proofOf(keys.feederProof, transcript) }), { binary: false });
  const { nextSequence } = parseWelcome(await next());

  const sealer = new FrameSealer({ key: Buffer.from(keys.feederToHost), firstSequence: nextSequence });
  const opener = new FrameOpener({ key: Buffer.from(keys.hostToFeeder), firstSequence: 1 });
  const heard = async (kind: string): Promise<void> => {
    for (;;) if (readHostFrame(opener.open(await next())).kind === kind) return;
  };
  await heard('grant');
  for (const payload of payloads) {
    socket.send(sealer.seal(FEEDER_FRAMES.data, payload));
    await heard('receipt');
  }
  socket.send(sealer.seal(FEEDER_FRAMES.close, EMPTY_PAYLOAD));
  await closed;
  return { sharedSecret, ...keys };
}
