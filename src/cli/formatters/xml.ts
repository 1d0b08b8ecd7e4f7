import { machineName, type OutputShape } from '../../contract/shape-entry.ts';
import { TYPE_NAMES } from './keyvalue.ts';
import { nestedRows, printableLines, scalar, type Output, type Row } from './output.ts';

const INDENT = '   ';

/** esxcli's XML: a structure, or a list of structures, of typed fields. */
export function formatXml({ shape, rows }: Output): string {
  const structures = rows.flatMap((row) => structure(shape, row));
  const content = shape.kind === 'object' ? structures : list(structures);
  const lines = [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<output>',
    '<root>',
    ...content,
    '</root>',
    '</output>',
  ];
  return lines.join('\n') + '\n';
}

function list(structures: readonly string[]): string[] {
  return ['<list type="structure">', ...indented(structures), '</list>'];
}

function structure({ struct, fields, nested }: OutputShape, row: Row): string[] {
  const own = fields.flatMap(({ key, label, type }) => {
    const value = scalar(row, key);
    const name = TYPE_NAMES[type];
    const element = value === null ? `<${name}/>` : `<${name}>${escaped(String(value))}</${name}>`;
    return field(label, [element]);
  });
  const inner =
    nested === undefined
      ? []
      : field(
          nested.label,
          list(nestedRows(row, nested.key).flatMap((each) => structure(nested.shape, each))),
        );
  return [`<structure typeName="${struct}">`, ...indented([...own, ...inner]), '</structure>'];
}

function field(label: string, content: readonly string[]): string[] {
  return [`<field name="${machineName(label)}">`, ...indented(content), '</field>'];
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => INDENT + line);
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
  '\n': '&#10;',
  '\r': '&#13;',
  '\t': '&#9;',
};

/** XML 1.0 cannot hold most control characters even escaped: those are shown as code points. */
function escaped(text: string): string {
  return printableLines(text).replaceAll(/[&<>"'\n\r\t]/g, (character) => ENTITIES[character] ?? character);
}
