import type { OptionEntry } from '../contract/command-entry.ts';

/** The value of an option that takes one, from its text; undefined when it does not fit the option's row of the table. */
export function optionValue(option: OptionEntry, text: string): string | number | undefined {
  const { type, choices, minimum = 0, maximum = Number.MAX_SAFE_INTEGER } = option;
  if (choices !== undefined) return choices.includes(text) ? text : undefined;
  const measure = MEASURES[type](text);
  if (measure === undefined || measure < minimum || measure > maximum) return undefined;
  if (type !== 'string') return measure;
  return /[\p{C}\p{Zl}\p{Zp}]/u.test(text) ? undefined : text;
}

/** What is compared with the bounds of an option: a value, or the length of a text. */
const MEASURES: Readonly<Record<OptionEntry['type'], (text: string) => number | undefined>> = {
  integer: (text) => (/^[0-9]{1,16}$/.test(text) ? Number(text) : undefined),
  number: rationalOf,
  duration: secondsOf,
  string: (text) => Array.from(text).length,
  flag: () => undefined,
};

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** Seconds of `90`, `90s`, `10m`, `2h` or `1d`. */
function secondsOf(text: string): number | undefined {
  const found = /^([0-9]{1,9})([smhd]?)$/.exec(text);
  return found === null ? undefined : Number(found[1]) * (UNIT_SECONDS[found[2] ?? ''] ?? 1);
}

/** `7`, `0.5` or `1/32`. */
function rationalOf(text: string): number | undefined {
  const found = /^([0-9]{1,10}(?:\.[0-9]{1,20})?)(?:\/([1-9][0-9]{0,9}))?$/.exec(text);
  return found === null ? undefined : Number(found[1]) / Number(found[2] ?? '1');
}
