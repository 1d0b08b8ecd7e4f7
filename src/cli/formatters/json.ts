import { machineName, type OutputShape } from '../../contract/shape-entry.ts';
import { nestedRows, scalar, type Output, type Row } from './output.ts';

/** An object for one structure, an array for a list; names are labels without spaces, as in esxcli. */
export function formatJson({ shape, rows }: Output): string {
  const structures = rows.map((row) => structure(shape, row));
  return encoded(shape.kind === 'object' ? structures[0] : structures, 2);
}

/** The same, one object a line (JSON lines), for output that has no end. */
export function formatJsonLines({ shape, rows }: Output): string {
  return rows.map((row) => encoded(structure(shape, row))).join('');
}

function structure({ fields, nested }: OutputShape, row: Row): Record<string, unknown> {
  const own = fields.map(({ key, label }) => [machineName(label), scalar(row, key)] as const);
  if (nested === undefined) return Object.fromEntries(own);
  const inner = nestedRows(row, nested.key).map((each) => structure(nested.shape, each));
  return { ...Object.fromEntries(own), [machineName(nested.label)]: inner };
}

/** JSON lets DEL, C1 controls and direction marks through as they are; a terminal would obey them. */
function encoded(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, null, indent);
  return `${text.replaceAll(/(?!\n)[\p{C}\p{Zl}\p{Zp}]/gu, escape)}\n`;
}

function escape(character: string): string {
  return Array.from({ length: character.length }, (_, index) => {
    return `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`;
  }).join('');
}
