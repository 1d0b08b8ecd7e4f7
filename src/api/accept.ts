const JSON_TYPE = 'application/json';
const BYTES_TYPE = 'application/octet-stream';

/** True when an Accept header (RFC 9110, 12.5.1) wants JSON more than bytes; without one, or when it wants either alike, bytes it is. */
export function prefersJson(accept: string | undefined): boolean {
  const ranges = (accept ?? '*/*').split(',').map(rangeOf);
  return qualityOf(JSON_TYPE, ranges) > qualityOf(BYTES_TYPE, ranges);
}

interface MediaRange {
  readonly type: string;
  readonly quality: number;
}

function rangeOf(text: string): MediaRange {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase());
  const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? '1';
  return { type, quality: /^(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)$/.test(weight) ? Number(weight) : 0 };
}

/** By the most specific range. */
function qualityOf(type: string, ranges: readonly MediaRange[]): number {
  for (const wanted of [type, 'application/*', '*/*']) {
    const range = ranges.find((one) => one.type === wanted);
    if (range !== undefined) return range.quality;
  }
  return 0;
}
