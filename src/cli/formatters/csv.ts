import { machineName, type OutputShape } from '../../contract/shape-entry.ts';
import { nestedRows, printableLines, scalar, type Output, type Row } from './output.ts';

/** RFC 4180 with a header, lines ended by LF. A nested list is one cell: its rows as `Name=value` by `; `. */
export function formatCsv(output: Output): string {
  return csvHeader(output.shape) + csvRows(output);
}

export function csvHeader({ fields, nested }: OutputShape): string {
  const labels = fields.map(({ label }) => label);
  return csvLine([...labels, ...(nested === undefined ? [] : [nested.label])].map(machineName));
}

export function csvRows({ shape, rows }: Output): string {
  return rows.map((row) => csvLine(cells(shape, row))).join('');
}

function cells({ fields, nested }: OutputShape, row: Row): string[] {
  const values = fields.map(({ key }) => printableLines(String(scalar(row, key) ?? '')));
  if (nested === undefined) return values;
  const inner = nestedRows(row, nested.key).map((each) =>
    nested.shape.fields
      .map(({ key, label }) => `${machineName(label)}=${printableLines(String(scalar(each, key) ?? ''))}`)
      .join(' '),
  );
  return [...values, inner.join('; ')];
}

function csvLine(values: readonly string[]): string {
  return (
    values.map((value) => (/[",\n\r]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value)).join(',') +
    '\n'
  );
}
