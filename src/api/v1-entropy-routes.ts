import type { FastifyRequest } from 'fastify';
import { Readable } from 'node:stream';
import { isIPv6 } from 'node:net';
import { wipe } from '../base/bytes.ts';
import { EntropyError } from '../base/errors.ts';
import { CREDIT_UNITS_PER_BIT, KIB } from '../base/units.ts';
import type { ControlService } from '../contract/control-service.ts';
import {
  ENTROPY_BYTES,
  type EntropyIntake,
  type ReceiptReport,
  type RequestOrigin,
} from '../contract/entropy-intake.ts';
import { BYTES_MEDIA_TYPE } from '../contract/route.ts';
import { ROUTES } from '../contract/routes.ts';
import { parseReceipt } from '../protocol/receipt.ts';
import type { TokenRecord } from '../state/tokens.ts';
import { prefersJson } from './accept.ts';
import { BodyBuffers } from './body-buffers.ts';
import type { ControlApp } from './control-app.ts';
import { registered } from './registered.ts';
import { compileValidator } from './validation.ts';

/** Bodies that are read at once, over all feeders: 1 MiB. */
const BODIES = 16;
/** What is read of a body that is too long, so that its sender gets an answer; beyond that the connection is cut. */
const READ_LIMIT_BYTES = 256 * KIB;

/** The routes by which feeders send entropy. Whatever can be refused is refused before the body is read. */
export function registerEntropyRoutes(app: ControlApp, { intake }: ControlService): void {
  const buffers = new BodyBuffers({ lengthBytes: ENTROPY_BYTES.maximum, maximum: BODIES });
  app.route({
    ...registered(ROUTES.intake),
    handler: (request) => intake.standing(feederOf(request), originOf(request)),
  });
  app.route({
    ...registered(ROUTES.intakeReceipts),
    handler: (request, reply) => {
      const { from, limit } = request.query;
      const records = intake.receipts(feederOf(request), from, limit);
      return reply.type(BYTES_MEDIA_TYPE).send(Buffer.concat(records));
    },
  });
  void app.register((scope, _options, done) => {
    takeStreams(scope);
    scope.route({
      ...registered(ROUTES.sendEntropy),
      handler: async (request, reply) => {
        const record = await taken(request, intake, buffers);
        void reply.code(ROUTES.sendEntropy.success);
        if (prefersJson(request.headers.accept)) return reply.send(receiptReport(record));
        return reply.type(BYTES_MEDIA_TYPE).send(record);
      },
    });
    done();
  });
}

/** Within this scope a body of bytes is left to the handler, unread: there is nothing in it for a schema. */
function takeStreams(scope: ControlApp): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser(BYTES_MEDIA_TYPE, (_request, payload, done) => done(null, payload));
  scope.setValidatorCompiler((route) =>
    route.httpPart === 'body' ? (value: unknown) => ({ value }) : compileValidator(route),
  );
}

/** The record of the receipt. */
async function taken(
  request: FastifyRequest,
  intake: EntropyIntake,
  buffers: BodyBuffers,
): Promise<Uint8Array> {
  const lengthBytes = declaredLength(request);
  const sequence = Number(request.headers['entropy-sequence']);
  const turn = await intake.begin(feederOf(request), { sequence, lengthBytes }, originOf(request));
  try {
    const buffer = buffers.acquire();
    try {
      const payload = await readInto(buffer, request.body);
      return await turn.take(payload, tokenOf(request).digest);
    } finally {
      buffers.release(buffer);
    }
  } finally {
    turn.letGo();
  }
}

/** Undefined for a body in chunks. Throws `payload-too-large`, `request-invalid`. */
function declaredLength({ headers }: FastifyRequest): number | undefined {
  const { minimum, maximum } = ENTROPY_BYTES;
  const declared = headers['content-length'];
  if (declared === undefined && headers['transfer-encoding'] !== undefined) return undefined;
  const lengthBytes = Number(declared ?? 0);
  if (lengthBytes > maximum) throw tooLarge();
  if (!(lengthBytes >= minimum)) throw tooShort();
  return lengthBytes;
}

/** The body as a view of the buffer. Each part is a view of what the connection received, and is wiped there as well. */
async function readInto(buffer: Uint8Array, body: unknown): Promise<Uint8Array> {
  if (!(body instanceof Readable)) throw tooShort();
  let lengthBytes = 0;
  for await (const part of body as AsyncIterable<Buffer>) {
    if (lengthBytes + part.length <= buffer.length) buffer.set(part, lengthBytes);
    lengthBytes += part.length;
    wipe(part);
    if (lengthBytes > READ_LIMIT_BYTES) break;
  }
  if (lengthBytes > buffer.length) throw tooLarge();
  if (lengthBytes < ENTROPY_BYTES.minimum) throw tooShort();
  return buffer.subarray(0, lengthBytes);
}

function tooLarge(): EntropyError {
  return new EntropyError('payload-too-large', `entropy comes in at most ${ENTROPY_BYTES.maximum} bytes`);
}

function tooShort(): EntropyError {
  return new EntropyError(
    'request-invalid',
    `body: entropy comes in at least ${ENTROPY_BYTES.minimum} bytes`,
  );
}

/** The access of the routes lets nobody in without a token, and none has its scope without a feeder. */
function tokenOf({ caller }: FastifyRequest): TokenRecord {
  if (caller.token === undefined) throw new Error('broken invariant: the route needs a token');
  return caller.token;
}

function feederOf(request: FastifyRequest): NonNullable<TokenRecord['feeder']> {
  const { feeder } = tokenOf(request);
  if (feeder === undefined) throw new Error('broken invariant: who may write is a feeder');
  return feeder;
}

/** On the control socket it has no address: the socket stands for it. */
function originOf({ raw }: FastifyRequest): RequestOrigin {
  const { remoteAddress: ipAddress, remotePort: port } = raw.socket;
  if (ipAddress === undefined) return { address: 'control socket', ipAddress: 'control socket' };
  return {
    address: isIPv6(ipAddress) ? `[${ipAddress}]:${port ?? 0}` : `${ipAddress}:${port ?? 0}`,
    ipAddress,
  };
}

function receiptReport(record: Uint8Array): ReceiptReport {
  const receipt = parseReceipt(Buffer.from(record));
  const { kind, verdict, feeder, feederId, sequence, timeMs, position } = receipt;
  const { payloadBytes, memoryBytes, storedBytes, creditUnits } = receipt;
  return {
    kind,
    verdict,
    feeder,
    feederId,
    host: hex(receipt.host),
    session: hex(receipt.session),
    sequence,
    timeMs,
    requestDigest: hex(receipt.frameDigest),
    position,
    payloadBytes,
    memoryBytes,
    storedBytes,
    creditedBits: creditUnits / CREDIT_UNITS_PER_BIT,
    previous: hex(receipt.previous),
    record: Buffer.from(record).toString('base64'),
  };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
