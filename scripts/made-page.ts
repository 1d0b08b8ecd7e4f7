import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

/** A page of docs/ that a script makes: writes it, or with `--check` on the command line exits 1 when the one there is another. */
export function settlePage(name: string, page: string, source: string): void {
  const file = new URL(`../docs/${name}.md`, import.meta.url);
  const { values } = parseArgs({ options: { check: { type: 'boolean' } } });
  if (values.check !== true) {
    writeFileSync(file, page);
  } else if (page !== readFileSync(file, 'utf8')) {
    console.error(`docs/${name}.md is not what ${source} say: run node --import tsx scripts/${name}-page.ts`);
    process.exitCode = 1;
  }
}
