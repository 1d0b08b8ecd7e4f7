// Writes out/man/: the manual pages.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { manPages } from './man-pages.ts';

const directory = path.join(path.dirname(path.dirname(fileURLToPath(import.meta.url))), 'out', 'man');
mkdirSync(directory, { recursive: true });
for (const { name, section, text } of manPages())
  writeFileSync(path.join(directory, `${name}.${section}`), text);
