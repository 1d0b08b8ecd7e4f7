import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readSecureBoot } from '../../src/hardware/secure-boot.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'efivars-'));
const variable = path.join(directory, 'SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c');
/** Boot-service and run-time access, as the kernel puts before each value. */
const ATTRIBUTES = [6, 0, 0, 0];

test('the firmware says on or off, in one byte behind the attributes', async () => {
  writeFileSync(variable, Buffer.from([...ATTRIBUTES, 1]));
  assert.is(await readSecureBoot(directory), 'on');
  writeFileSync(variable, Buffer.from([...ATTRIBUTES, 0]));
  assert.is(await readSecureBoot(directory), 'off');
});

test('anything else is not known, and never taken for on', async () => {
  for (const bytes of [[], ATTRIBUTES, [...ATTRIBUTES, 1, 0]]) {
    writeFileSync(variable, Buffer.from(bytes));
    assert.is(await readSecureBoot(directory), 'unknown');
  }
  writeFileSync(variable, Buffer.from([...ATTRIBUTES, 2]));
  assert.is(await readSecureBoot(directory), 'off');
  rmSync(variable);
  assert.is(await readSecureBoot(directory), 'unknown', 'a host without UEFI');
  mkdirSync(variable);
  assert.is(await readSecureBoot(directory), 'unknown', 'it cannot be read');
});

test.after(() => rmSync(directory, { recursive: true, force: true }));

test.run();
