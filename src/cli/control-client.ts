import http from 'node:http';
import type { Static, TObject, TSchema } from 'typebox';
import { Check } from 'typebox/schema';
import type { Clock } from '../base/clock.ts';
import { EntropyError, errnoOf, messageOf } from '../base/errors.ts';
import { KIB, MS_PER_SECOND } from '../base/units.ts';
import { controlSocketPath } from '../contract/directories.ts';
import { ProblemSchema } from '../contract/outputs.ts';
import type { RouteEntry } from '../contract/routes.ts';

export interface Call {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string | number>>;
  readonly body?: unknown;
  /** For the whole answer; a source's test may take a minute on an idle host. 120 s unless told. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 120 * MS_PER_SECOND;
const MAXIMUM_ANSWER_BYTES = 8 * KIB * KIB;

/** unix(7): a longer name would be cut in silence and mean another socket. */
const MAXIMUM_SOCKET_PATH_BYTES = 107;

/** Calls the daemon's routes over its control socket, one connection a call. */
export class ControlClient {
  readonly socketPath: string;
  readonly #clock: Clock;

  /** Throws `socket-path-too-long`. */
  constructor(options: { readonly runtimeDirectory: string }, dependencies: { readonly clock: Clock }) {
    this.socketPath = controlSocketPath(options.runtimeDirectory);
    const lengthBytes = Buffer.byteLength(this.socketPath);
    if (lengthBytes > MAXIMUM_SOCKET_PATH_BYTES) {
      throw new EntropyError('socket-path-too-long', `${this.socketPath} has ${lengthBytes} bytes`);
    }
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
    const { status, text } = await this.#exchange(route, call);
    const answer = parsed(text);
    if (status !== 200) throw errorOf(status, answer);
    const schema = route.schema.response[200];
    if (!conforms(schema, answer))
      throw new EntropyError('answer-invalid', `${route.url} answered in another shape`);
    return answer;
  }

  #exchange(route: RouteEntry, call: Call): Promise<{ readonly status: number; readonly text: string }> {
    return new Promise((resolve, reject) => {
      const body = call.body === undefined ? undefined : JSON.stringify(call.body);
      const request = http.request({
        socketPath: this.socketPath,
        agent: false,
        method: route.method,
        path: pathOf(route.url, call),
        headers: { host: 'localhost', accept: 'application/json', ...bodyHeaders(body) },
      });
      const timeUp = this.#clock.after(call.timeoutMs ?? TIMEOUT_MS, () => {
        request.destroy(new EntropyError('daemon-unreachable', `no answer in time from ${this.socketPath}`));
      });
      request.on('close', () => timeUp.cancel());
      request.on('error', (error) => reject(this.#connectionError(error)));
      request.on('response', (response) => {
        collect(response).then(
          (text) => resolve({ status: response.statusCode ?? 0, text }),
          (error: unknown) => {
            request.destroy();
            reject(this.#connectionError(error));
          },
        );
      });
      request.end(body);
    });
  }

  #connectionError(error: unknown): EntropyError {
    if (error instanceof EntropyError) return error;
    const errno = errnoOf(error);
    if (errno === 'EACCES' || errno === 'EPERM') {
      return new EntropyError('permission-denied', `this user may not connect to ${this.socketPath}`);
    }
    if (errno?.startsWith('HPE_') === true) {
      return new EntropyError('answer-invalid', `${this.socketPath} does not speak HTTP`);
    }
    return new EntropyError(
      'daemon-unreachable',
      `no daemon answers on ${this.socketPath} (${errno ?? messageOf(error)})`,
    );
  }
}

function bodyHeaders(body: string | undefined): Record<string, string | number> {
  if (body === undefined) return {};
  return { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
}

/** `/v1/sources/:name/test` with its parameters and query filled in. */
function pathOf(url: string, { params = {}, query = {} }: Call): string {
  const path = url.replaceAll(/:([a-z]+)/g, (_, name: string) => encodeURIComponent(params[name] ?? ''));
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) search.set(name, String(value));
  return search.size === 0 ? path : `${path}?${search.toString()}`;
}

async function collect(response: http.IncomingMessage): Promise<string> {
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
  return Buffer.concat(chunks).toString('utf8');
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
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
