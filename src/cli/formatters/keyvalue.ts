import { machineName, type FieldType, type OutputShape } from '../../contract/shape-entry.ts';
import { nestedRows, printable, scalar, type Output, type Row } from './output.ts';

/** Type names of esxcli's keyvalue lines. */
export const TYPE_NAMES: Readonly<Record<FieldType, string>> = {
  string: 'string',
  integer: 'integer',
  number: 'double',
  boolean: 'boolean',
};

/** `Struct.Field.type=value`, a line each; the structures of a list are parted by empty lines. */
export function formatKeyvalue({ shape, rows }: Output): string {
  return rows.map((row) => lines(shape, row, shape.struct).join('')).join('\n');
}

function lines({ fields, nested }: OutputShape, row: Row, path: string): string[] {
  const own = fields.map(({ key, label, type }) => {
    const value = printable(String(scalar(row, key) ?? ''));
    return `${path}.${machineName(label)}.${TYPE_NAMES[type]}=${value}\n`;
  });
  if (nested === undefined) return own;
  const inner = nestedRows(row, nested.key).flatMap((each, index) =>
    lines(nested.shape, each, `${path}.${machineName(nested.label)}[${index}].${nested.shape.struct}`),
  );
  return [...own, ...inner];
}
