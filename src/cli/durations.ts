import { KIB } from '../base/units.ts';

/** A time span for people, at most two units: `6.3 us`, `12 s`, `3 h 5 min`. Takes seconds, 0 or more. */
export function durationText(seconds: number): string {
  if (seconds === 0) return '0 s';
  if (seconds < 1e-3) return `${threeDigits(seconds * 1e6)} us`;
  if (seconds < 1) return `${threeDigits(seconds * 1e3)} ms`;
  if (seconds < 10 && !Number.isInteger(seconds)) return `${threeDigits(seconds)} s`;
  const whole = Math.round(seconds);
  if (whole < MINUTE) return `${whole} s`;
  if (whole < HOUR) return twoUnits(whole, MINUTE, 'min', 1, 's');
  if (whole < DAY) return twoUnits(whole, HOUR, 'h', MINUTE, 'min');
  return twoUnits(whole, DAY, 'd', HOUR, 'h');
}

/** A span between two wall-clock times in milliseconds, in whole seconds; a clock set back reads as 0. */
export function elapsedText(sinceMs: number, nowMs: number): string {
  return durationText(Math.max(0, Math.floor((nowMs - sinceMs) / 1000)));
}

/** A rate of credit: `51.2 Mbit/s`, `0.0037 bit/s`. */
export function rateText(bitsPerSecond: number): string {
  const prefix = PREFIXES.find(({ factor }) => bitsPerSecond >= factor) ?? { factor: 1, symbol: '' };
  return `${threeDigits(bitsPerSecond / prefix.factor)} ${prefix.symbol}bit/s`;
}

/** A size in whole units, rounded down: `512 B`, `400 KiB`, `64 MiB`. */
export function sizeText(bytes: number): string {
  if (bytes < KIB) return `${bytes} B`;
  const kibibytes = Math.floor(bytes / KIB);
  return kibibytes < 10 * KIB ? `${kibibytes} KiB` : `${Math.floor(kibibytes / KIB)} MiB`;
}

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86_400;

const PREFIXES = [
  { factor: 1e9, symbol: 'G' },
  { factor: 1e6, symbol: 'M' },
  { factor: 1e3, symbol: 'k' },
];

function twoUnits(
  seconds: number,
  large: number,
  largeName: string,
  small: number,
  smallName: string,
): string {
  const rest = Math.floor((seconds % large) / small);
  const first = `${Math.floor(seconds / large)} ${largeName}`;
  return rest === 0 ? first : `${first} ${rest} ${smallName}`;
}

/** Three significant digits, no exponent above 1e-6, no trailing zeros. */
function threeDigits(value: number): string {
  return String(Number(value.toPrecision(3)));
}
