import { EntropyError } from '../base/errors.ts';
import { KIB } from '../base/units.ts';
import { MAXIMUM_SOURCES, SEED_MAXIMUM_BYTES, SEED_MINIMUM_BYTES } from '../protocol/install-seed.ts';

/** The options of `--kickstart`, which writes an install seed instead of feeding a host. */

/** They belong to it alone. */
export const SEED_OPTIONS = ['bytes', 'sources'] as const;

const UNITS: Readonly<Record<string, number>> = { '': 1, KiB: KIB, MiB: KIB * KIB, kB: 1000, MB: 1_000_000 };

/** `512000`, `4MiB`. @throws EntropyError usage */
export function seedBytes(text: string): number {
  const [, figure = '', unit = ''] = /^([0-9]{1,9}) ?(|KiB|MiB|kB|MB)$/.exec(text) ?? [];
  const bytes = figure === '' ? NaN : Number(figure) * (UNITS[unit] ?? NaN);
  if (bytes >= SEED_MINIMUM_BYTES && bytes <= SEED_MAXIMUM_BYTES) return bytes;
  throw new EntropyError(
    'usage',
    `--bytes takes ${SEED_MINIMUM_BYTES} to ${SEED_MAXIMUM_BYTES}, such as 4MiB or 512000`,
  );
}

/** @throws EntropyError usage */
export function seedSources(text: string): number {
  const sources = /^[0-9]{1,2}$/.test(text) ? Number(text) : NaN;
  if (sources <= MAXIMUM_SOURCES) return sources;
  throw new EntropyError('usage', `--sources takes a whole number from 0 to ${MAXIMUM_SOURCES}`);
}
