import type http from 'node:http';
import type { Static, TObject, TSchema } from 'typebox';
import { Check } from 'typebox/schema';
import { wipe } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { EntropyError, errnoOf, messageOf } from '../base/errors.ts';
import { KIB, MS_PER_SECOND } from '../base/units.ts';
import { ProblemSchema } from '../contract/outputs.ts';
import type { DaemonPlace } from './daemon-place.ts';
import { BYTES_MEDIA_TYPE, type RouteEntry, type TBytes } from '../contract/route.ts';

export interface Call {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string | number>>;
  readonly body?: unknown;
  /** A body of bytes instead; wiped by whoever gave it. */
  readonly bytes?: Uint8Array;
  /** For the whole answer; a source's test may take a minute on an idle host. 120 s unless told. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 120 * MS_PER_SECOND;
const MAXIMUM_ANSWER_BYTES = 8 * KIB * KIB;

/** Calls the daemon's routes, one connection a call. */
export class ControlClient {
  readonly place: DaemonPlace;
  readonly #clock: Clock;

  constructor(options: { readonly place: DaemonPlace }, dependencies: { readonly clock: Clock }) {
    this.place = options.place;
    this.#clock = dependencies.clock;
  }

  /**
   * The route's answer, checked against its schema. Throws the daemon's own error by its code, or
   * `daemon-unreachable`, `permission-denied` and `answer-invalid`.
   */
  async call<A extends TSchema>(
    route: RouteEntry<TObject, TObject, TSchema | undefined, A>,
    call: Call = {},
  ): Promise<Static<A>> {
    const { status, body } = await this.#exchange(route, call);
    const answer = parsed(body);
    if (status !== 200) throw errorOf(status, answer);
    const schema = route.schema.response[200];
    if (!conforms(schema, answer))
      throw new EntropyError('answer-invalid', `${route.url} answered in another shape`);
    return answer;
  }

  /** The bytes of an answer that is no JSON: whoever gets them wipes them. Throws as `call` does. */
  async callBytes(
    route: RouteEntry<TObject, TObject, TSchema | undefined, TBytes>,
    call: Call = {},
  ): Promise<Buffer> {
    const { status, mediaType, body } = await this.#exchange(route, call);
    if (status !== 200) throw errorOf(status, parsed(body));
    if (mediaType === BYTES_MEDIA_TYPE) return body;
    wipe(body);
    throw new EntropyError('answer-invalid', `${route.url} answered another type`);
  }

  #exchange(route: RouteEntry, call: Call): Promise<Exchange> {
    return new Promise((resolve, reject) => {
      const body = bodyOf(call);
      const request = this.place.request({
        method: route.method,
        path: pathOf(route.url, call),
        headers: { ...body?.headers },
      });
      const timeUp = this.#clock.after(call.timeoutMs ?? TIMEOUT_MS, () => {
        request.destroy(new EntropyError('daemon-unreachable', `no answer in time from ${this.place.name}`));
      });
      request.on('close', () => timeUp.cancel());
      request.on('error', (error) => reject(this.#connectionError(error)));
      request.on('response', (response) => {
        collect(response).then(
          (bytes) => {
            const { statusCode: status = 0, headers } = response;
            resolve({ status, mediaType: headers['content-type'] ?? '', body: bytes });
          },
          (error: unknown) => {
            request.destroy();
            reject(this.#connectionError(error));
          },
        );
      });
      request.end(body?.bytes);
    });
  }

  #connectionError(error: unknown): EntropyError {
    if (error instanceof EntropyError) return error;
    const errno = errnoOf(error);
    if (errno === 'EACCES' || errno === 'EPERM') {
      return new EntropyError('permission-denied', `this user may not connect to ${this.place.name}`);
    }
    if (errno?.startsWith('HPE_') === true) {
      return new EntropyError('answer-invalid', `${this.place.name} does not speak HTTP`);
    }
    if (isTlsRefusal(errno))
      return new EntropyError('tls-untrusted', `${this.place.name} is not recognised (${messageOf(error)})`);
    return new EntropyError(
      'daemon-unreachable',
      `no daemon answers on ${this.place.name} (${errno ?? messageOf(error)})`,
    );
  }
}

/** OpenSSL's reasons to refuse a certificate (X509_V_ERR_…) and Node's for its names. */
function isTlsRefusal(errno: string | undefined): boolean {
  return errno !== undefined && /CERT|SIGNATURE|ISSUER|^ERR_TLS_/.test(errno);
}

interface Exchange {
  readonly status: number;
  readonly mediaType: string;
  readonly body: Buffer;
}

interface Body {
  readonly bytes: Uint8Array;
  readonly headers: Readonly<Record<string, string | number>>;
}

function bodyOf({ body, bytes }: Call): Body | undefined {
  if (bytes !== undefined) return typedBody(bytes, BYTES_MEDIA_TYPE);
  return body === undefined ? undefined : typedBody(Buffer.from(JSON.stringify(body)), 'application/json');
}

function typedBody(bytes: Uint8Array, mediaType: string): Body {
  return { bytes, headers: { 'content-type': mediaType, 'content-length': bytes.length } };
}

/** `/v1/sources/:name/test` with its parameters and query filled in. */
function pathOf(url: string, { params = {}, query = {} }: Call): string {
  const path = url.replaceAll(/:([a-z]+)/g, (_, name: string) => encodeURIComponent(params[name] ?? ''));
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) search.set(name, String(value));
  return search.size === 0 ? path : `${path}?${search.toString()}`;
}

/** The whole body. Its parts are wiped once they are joined: there may be a key in them. */
async function collect(response: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let lengthBytes = 0;
  for await (const chunk of response) {
    if (!Buffer.isBuffer(chunk)) throw new TypeError('a response without an encoding gives buffers');
    lengthBytes += chunk.length;
    if (lengthBytes > MAXIMUM_ANSWER_BYTES) {
      throw new EntropyError('answer-invalid', `the answer is over ${MAXIMUM_ANSWER_BYTES} bytes`);
    }
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks);
  chunks.forEach(wipe);
  return body;
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    throw new EntropyError('answer-invalid', 'the answer is not JSON');
  }
}

function errorOf(status: number, answer: unknown): EntropyError {
  if (conforms(ProblemSchema, answer)) return new EntropyError(answer.code, answer.detail);
  return new EntropyError('answer-invalid', `HTTP status ${status} without a problem of this version`);
}

function conforms<T extends TSchema>(schema: T, value: unknown): value is Static<T> {
  return Check(schema, value);
}
