import type { OutputShape } from '../../contract/shape-entry.ts';

export type Scalar = string | number | boolean | null;
export type FlatRow = Readonly<Record<string, Scalar>>;

/** One structure of an answer: a value for each key of its shape, and flat rows for what is nested in it. */
export type Row = Readonly<Record<string, Scalar | readonly FlatRow[]>>;

/** What a command answers: one row for a shape of kind `object`, any number for a list. */
export interface Output {
  readonly shape: OutputShape;
  readonly rows: readonly Row[];
}

/** The value of a field; a row without it is a mistake of the view that made it. */
export function scalar(row: Row, key: string): Scalar {
  const value = row[key];
  if (value === undefined || (typeof value === 'object' && value !== null)) {
    throw new TypeError(`a row has no value for ${key}`);
  }
  return value;
}

export function nestedRows(row: Row, key: string): readonly FlatRow[] {
  const value = row[key];
  if (typeof value !== 'object' || value === null) throw new TypeError(`a row has no rows for ${key}`);
  return value;
}

/** Control characters, direction marks, line separators, unassigned and lone surrogates: Unicode's C, Zl and Zp. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu;
const UNPRINTABLE_BUT_LINES = /(?![\n\r\t])[\p{C}\p{Zl}\p{Zp}]/gu;

/**
 * Text that cannot move a terminal's cursor, break a line or turn its direction: whatever could is shown as its code
 * point. What a daemon answers may come from a feeder, a file name or an attacker.
 */
export function printable(text: string): string {
  return text.replaceAll(UNPRINTABLE, codePoint);
}

/** The same, with line breaks and tabs kept, for formats that can hold them. */
export function printableLines(text: string): string {
  return text.replaceAll(UNPRINTABLE_BUT_LINES, codePoint);
}

function codePoint(character: string): string {
  switch (character) {
    case '\n':
      return '\\n';
    case '\r':
      return '\\r';
    case '\t':
      return '\\t';
    default:
      return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
  }
}
