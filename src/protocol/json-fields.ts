import { EntropyError, type ErrorCode } from '../base/errors.ts';
import { HANDSHAKE_MAXIMUM_BYTES, PROTOCOL_VERSION } from './limits.ts';

/** Takes the fields of one object out, each once; whatever is left at the end was not expected. */
export class Fields {
  readonly #values: Map<string, unknown>;
  readonly #code: ErrorCode;
  readonly #what: string;

  /** Of a message: its type and version are taken at once. Of a nested object: `type` is its name. */
  constructor(source: Uint8Array | object, type: string, code: ErrorCode) {
    this.#code = code;
    this.#what = type;
    if (!(source instanceof Uint8Array)) {
      this.#values = new Map(Object.entries(source));
      return;
    }
    this.#values = new Map(Object.entries(this.#objectOf(source)));
    this.oneOf('type', [type]);
    this.integer('version', PROTOCOL_VERSION, PROTOCOL_VERSION);
  }

  text(name: string, pattern: RegExp): string {
    const value = this.#take(name);
    if (typeof value !== 'string' || !pattern.test(value)) throw this.#wrong(name);
    return value;
  }

  oneOf<T extends string>(name: string, values: readonly T[]): T {
    const value = this.#take(name);
    const known = values.find((one) => one === value);
    if (known === undefined) throw this.#wrong(name);
    return known;
  }

  integer(name: string, minimum: number, maximum: number): number {
    const value = this.#take(name);
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < minimum || value > maximum)
      throw this.#wrong(name);
    return value;
  }

  bytes(name: string, lengthBytes: number): Buffer {
    const value = this.#take(name);
    if (typeof value !== 'string' || value.length !== 2 * lengthBytes || !/^[0-9a-f]*$/.test(value))
      throw this.#wrong(name);
    return Buffer.from(value, 'hex');
  }

  object(name: string): Fields {
    const value = this.#take(name);
    if (!isObject(value)) throw this.#wrong(name);
    return new Fields(value, `${this.#what}.${name}`, this.#code);
  }

  /** Takes the field only when it is null. */
  isNull(name: string): boolean {
    return this.#values.get(name) === null && this.#values.delete(name);
  }

  end(): void {
    if (this.#values.size > 0) throw new EntropyError(this.#code, `${this.#what} has a field too many`);
  }

  #take(name: string): unknown {
    const value = this.#values.get(name);
    this.#values.delete(name);
    return value;
  }

  #objectOf(message: Uint8Array): object {
    if (message.length > HANDSHAKE_MAXIMUM_BYTES)
      throw new EntropyError(this.#code, `${this.#what} is longer than ${HANDSHAKE_MAXIMUM_BYTES} bytes`);
    const value = parsedOf(message);
    if (!isObject(value)) throw new EntropyError(this.#code, `${this.#what} is not a JSON object`);
    return value;
  }

  #wrong(name: string): EntropyError {
    return new EntropyError(this.#code, `${this.#what}.${name} is missing or out of its range`);
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** undefined for what is no JSON in UTF-8. */
function parsedOf(message: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(message));
  } catch {
    return undefined;
  }
}
