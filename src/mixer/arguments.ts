export const MAXIMUM_I32 = 0x7fff_ffff;

/** TypeError unless an integer, RangeError unless within the range. */
export function expectInteger(name: string, value: number, minimum: number, maximum: number): void {
  if (!Number.isInteger(value)) throw new TypeError(`${name} is not an integer`);
  if (value < minimum || value > maximum)
    throw new RangeError(`${name} is not within ${minimum}..${maximum}`);
}

/** TypeError unless bytes, RangeError unless their number is within the range. */
export function expectBytes(name: string, bytes: Uint8Array, minimum: number, maximum: number): void {
  if (!(bytes instanceof Uint8Array)) throw new TypeError(`${name} is not a Uint8Array`);
  if (bytes.length < minimum || bytes.length > maximum) {
    throw new RangeError(`${name} holds ${bytes.length} bytes, not ${minimum}..${maximum}`);
  }
}
