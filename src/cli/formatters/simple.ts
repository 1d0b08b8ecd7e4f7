import type { FieldEntry, OutputShape } from '../../contract/shape-entry.ts';
import { nestedRows, printable, scalar, type Output, type Row } from './output.ts';

const INDENT = '   ';
const COLUMN_GAP = '  ';

/** esxcli's form for people: `Label: value` lines, indented by three unless the shape is flush, or a table. */
export function formatSimple({ shape, rows }: Output): string {
  if (shape.hint === 'table') return table(shape, rows);
  const indent = shape.flush === true ? '' : INDENT;
  return rows.map((row) => structure(shape, row, indent)).join('\n');
}

function structure(shape: OutputShape, row: Row, indent: string): string {
  const lines = shape.fields.map((field) => `${indent}${field.label}: ${cell(field, row)}`.trimEnd() + '\n');
  const { nested } = shape;
  if (nested === undefined) return lines.join('');
  const inner = nestedRows(row, nested.key).map((each) => structure(nested.shape, each, indent + INDENT));
  return `${lines.join('')}${indent}${nested.label}:\n${inner.join('\n')}`;
}

function table(shape: OutputShape, rows: readonly Row[]): string {
  const columns = shape.fields.filter(({ key }) => shape.tableColumns?.includes(key) ?? true);
  const cells = rows.map((row) => columns.map((field) => cell(field, row)));
  const widths = columns.map(({ label }, index) =>
    Math.max(label.length, ...cells.map((line) => widthOf(line[index] ?? ''))),
  );
  const lastIndex = columns.length - 1;
  const aligned = (line: readonly string[]): string =>
    columns
      .map((field, index) => {
        const padding = ' '.repeat((widths[index] ?? 0) - widthOf(line[index] ?? ''));
        return isNumeric(field) ? padding + (line[index] ?? '') : (line[index] ?? '') + padding;
      })
      .join(COLUMN_GAP)
      .trimEnd();
  // As in esxcli, the rule under a last column of text is as wide as its header only.
  const rules = columns.map((field, index) =>
    '-'.repeat(index === lastIndex && !isNumeric(field) ? field.label.length : (widths[index] ?? 0)),
  );
  const lines = [aligned(columns.map(({ label }) => label)), rules.join(COLUMN_GAP), ...cells.map(aligned)];
  return lines.join('\n') + '\n';
}

function isNumeric(field: FieldEntry): boolean {
  return field.type === 'integer' || field.type === 'number';
}

function cell(field: FieldEntry, row: Row): string {
  const value = scalar(row, field.key);
  if (value === null || (value === '' && field.absent !== undefined)) return field.absent ?? '';
  if (typeof value === 'number') return decimal(value);
  return printable(String(value));
}

/** Characters as a terminal counts them, but for wide scripts, which no value of ours uses. */
function widthOf(text: string): number {
  return Array.from(text).length;
}

/**
 * A number without an exponent: three decimals, or three significant digits below 1, so that a slow source never reads
 * as a bare 0. Rounded down: what is shown is never more than what is there.
 */
export function decimal(value: number): string {
  if (Number.isInteger(value) || !Number.isFinite(value)) return String(value);
  const magnitude = Math.floor(Math.log10(Math.abs(value)));
  const decimals = magnitude >= 0 ? DIGITS : Math.min(DIGITS - 1 - magnitude, MAXIMUM_DECIMALS);
  const scale = 10 ** decimals;
  // Fifteen digits are what a double holds: 0.29 is not to become 0.289.
  const scaled = Math.floor(Number((value * scale).toPrecision(15)));
  const text = (scaled / scale).toFixed(decimals);
  return text.replace(/\.?0+$/, '');
}

const DIGITS = 3;
const MAXIMUM_DECIMALS = 20;
