import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { formatCsv } from '../../src/cli/formatters/csv.ts';
import { FORMATTER_BY_NAME } from '../../src/cli/formatters/formatters.ts';
import { formatJson, formatJsonLines } from '../../src/cli/formatters/json.ts';
import { formatKeyvalue } from '../../src/cli/formatters/keyvalue.ts';
import type { Output } from '../../src/cli/formatters/output.ts';
import { decimal, formatSimple } from '../../src/cli/formatters/simple.ts';
import { formatXml } from '../../src/cli/formatters/xml.ts';
import { statusText } from '../../src/cli/status-view.ts';
import type { OutputShape } from '../../src/contract/shape-entry.ts';
import { sampleSource, sampleStatus } from '../api/fake-control-service.ts';
import { sampleExternal } from '../api/sample-external.ts';
import { count } from '../counts.ts';

const TEXT_SHAPE: OutputShape = {
  struct: 'Sample',
  kind: 'list',
  hint: 'table',
  fields: [
    { key: 'a', label: 'First Text', type: 'string' },
    { key: 'b', label: 'Second Text', type: 'string' },
  ],
};

function output(...rows: [string, string][]): Output {
  return { shape: TEXT_SHAPE, rows: rows.map(([a, b]) => ({ a, b })) };
}

const HOSTILE = [
  'a"b',
  'a,b',
  'a\nb',
  'a\r\nb',
  '\u001b[2J\u001b]0;title\u0007',
  '\u009b31m',
  '<a href="&">\'',
  ']]>',
  '\u202egnirts',
  '\u2028',
  '\u0000',
  '\ud800',
  '=cmd()',
  'x.y=z',
  '\\n',
];

/** What may move a cursor, start a new line where none belongs, or turn the direction of the text. */
const DANGEROUS = /(?!\n)[\p{C}\p{Zl}\p{Zp}]/u;
const text = fc.oneof(fc.constantFrom(...HOSTILE), fc.string({ unit: 'binary', maxLength: 20 }));
const rows = fc.array(fc.tuple(text, text), { maxLength: 4 });
const runs = { numRuns: count(500, 5_000) };

test('nothing that a terminal would obey comes out of any formatter', () => {
  for (const [name, format] of Object.entries(FORMATTER_BY_NAME)) {
    fc.assert(
      fc.property(rows, (given) => {
        // CSV may hold a carriage return or a tab inside quotes; neither leaves its cell.
        const shown = format(output(...given)).replaceAll(/[\r\t]/g, name === 'csv' ? ' ' : '$&');
        assert.not.match(shown, DANGEROUS, name);
      }),
      runs,
    );
  }
});

test('simple and keyvalue: a value never makes a line of its own', () => {
  fc.assert(
    fc.property(rows, (given) => {
      assert.is(formatSimple(output(...given)).split('\n').length, given.length + 3);
      const lines = formatKeyvalue(output(...given))
        .split('\n')
        .filter((line) => line !== '');
      assert.is(lines.length, given.length * 2);
      for (const line of lines) assert.match(line, /^Sample\.(First|Second)Text\.string=/);
    }),
    runs,
  );
});

test('csv: an RFC 4180 reader finds the same cells, controls shown as code points', () => {
  fc.assert(
    fc.property(rows, (given) => {
      const cells = parseCsv(formatCsv(output(...given)));
      assert.equal(cells, [['FirstText', 'SecondText'], ...given.map((row) => row.map(shownInCsv))]);
    }),
    runs,
  );
});

/** RFC 4180 read by its grammar: quoted cells with doubled quotes, records ended by LF. */
function parseCsv(csv: string): string[][] {
  const records: string[][] = [];
  let record: string[] = [];
  for (const [, quoted, plain = '', end] of csv.matchAll(/(?:"((?:[^"]|"")*)"|([^",\n\r]*))(,|\n)/g)) {
    record.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === ',') continue;
    records.push(record);
    record = [];
  }
  return records;
}

function shownInCsv(value: string): string {
  return Array.from(value, (character) =>
    /[\p{C}\p{Zl}\p{Zp}]/u.test(character) && !/[\n\r\t]/.test(character)
      ? `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`
      : character,
  ).join('');
}

test('json: parsing gives back exactly what went in', () => {
  fc.assert(
    fc.property(rows, (given) => {
      const expected = given.map(([a, b]) => ({ FirstText: a, SecondText: b }));
      assert.equal(JSON.parse(formatJson(output(...given))), expected);
      const lines = formatJsonLines(output(...given))
        .split('\n')
        .slice(0, -1);
      assert.equal(
        lines.map((line) => JSON.parse(line) as unknown),
        expected,
      );
    }),
    runs,
  );
});

test('xml: well formed, of characters that XML 1.0 allows, and every value is text', () => {
  fc.assert(
    fc.property(rows, (given) => {
      const xml = formatXml(output(...given));
      // XML 1.0 2.2: Char ::= #x9 | #xA | #xD | [#x20-#xD7FF] | [#xE000-#xFFFD] | [#x10000-#x10FFFF]
      assert.match(xml, /^[\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]*$/u);
      const values = [...xml.matchAll(/<string>([^<]*)<\/string>/g)].map((match) => match[1] ?? '');
      assert.is(values.length, given.length * 2);
      for (const value of values) assert.not.match(value, /&(?!(?:amp|lt|gt|quot|apos|#10|#13|#9);)|[<>"']/);
      assertBalanced(xml);
    }),
    runs,
  );
});

/** Each start tag has its end tag, in order. */
function assertBalanced(xml: string): void {
  const open: string[] = [];
  for (const [, slash, name = '', empty] of xml
    .replace(/^<\?xml[^>]*\?>/, '')
    .matchAll(/<(\/?)(\w+)[^>]*?(\/?)>/g)) {
    if (empty === '/') continue;
    if (slash === '/') assert.is(open.pop(), name);
    else open.push(name);
  }
  assert.equal(open, []);
}

test('the human status holds no line that a hostile reason could forge', () => {
  fc.assert(
    fc.property(text, (reason) => {
      const report = sampleStatus({
        sources: [sampleSource({ state: 'failed', reason })],
        mask: { configured: 8, running: 8, honoured: 0 },
        external: sampleExternal({ storageFailure: reason, keyFailure: reason }),
      });
      report.kernel.lastFailure = reason;
      report.gate.whatToDo = reason;
      const shown = statusText(report);
      assert.not.match(shown, DANGEROUS);
      for (const line of shown.split('\n').slice(0, -1))
        assert.match(line, /^ {3}(?:Gate|What to do|Kernel|Mask|Source RDSEED|External): /);
    }),
    runs,
  );
});

test('numbers for people: no exponent, never more than there is, never a bare 0 for what is not 0', () => {
  const exact: [number, string][] = [
    [0, '0'],
    [7, '7'],
    [0.29, '0.29'],
    [12.25, '12.25'],
    [640.5, '640.5'],
    [0.9999, '0.999'],
    [6.2457e-6, '0.00000624'],
    [1.0005, '1'],
    [1e20, '100000000000000000000'],
  ];
  for (const [value, shown] of exact) assert.is(decimal(value), shown);
  fc.assert(
    fc.property(fc.double({ min: 1e-15, max: 1e15, noNaN: true }), (value) => {
      const shown = decimal(value);
      assert.match(shown, /^\d+(?:\.\d*[1-9])?$/);
      assert.ok(Number(shown) > 0);
      assert.ok(Number(shown) <= value * (1 + 1e-14), `${value} is shown as ${shown}`);
      assert.ok(Number(shown) >= value * 0.99, `${value} is shown as ${shown}`);
    }),
    runs,
  );
});

test.run();
