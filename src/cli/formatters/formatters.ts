import type { FormatterName } from '../../contract/commands.ts';
import { formatCsv } from './csv.ts';
import { formatJson } from './json.ts';
import { formatKeyvalue } from './keyvalue.ts';
import type { Output } from './output.ts';
import { formatSimple } from './simple.ts';
import { formatXml } from './xml.ts';

export const FORMATTER_BY_NAME: Readonly<Record<FormatterName | 'simple', (output: Output) => string>> = {
  simple: formatSimple,
  csv: formatCsv,
  keyvalue: formatKeyvalue,
  xml: formatXml,
  json: formatJson,
};
