import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { measuredKeys, readMeasuredKeys, readSecureBootKeys } from '../../src/hardware/secure-boot-keys.ts';
import { logOf } from './event-log.ts';

const SECURITY = 'd719b2cb-3d3a-4596-a3bc-dad00e67656f';
const DB = Buffer.from('a list of keys');
const DBX = Buffer.from('a list of what is forbidden');

test('what firmware measured is compared with what it has now', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'efivars-'));
  try {
    const variable = (name: string, value: Buffer): void =>
      writeFileSync(
        path.join(directory, `${name}-${SECURITY}`),
        Buffer.concat([Buffer.from([39, 0, 0, 0]), value]),
      );
    assert.is(await readSecureBootKeys(directory), undefined, 'it does not tell');
    variable('db', DB);
    variable('dbx', DBX);
    const log = path.join(directory, 'log');
    assert.is(await readMeasuredKeys(log), undefined, 'there is no log');
    writeFileSync(log, logOf({ db: DB, dbx: DBX }));
    assert.equal(await readSecureBootKeys(directory), await readMeasuredKeys(log));
    variable('dbx', Buffer.concat([DBX, Buffer.from(' and more')]));
    const [now, measured] = [await readSecureBootKeys(directory), await readMeasuredKeys(log)];
    assert.equal([now?.db === measured?.db, now?.dbx === measured?.dbx], [true, false]);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test('a log that is cut anywhere tells nothing it did not say, and one that is damaged never throws', () => {
  const log = logOf({ db: DB, dbx: DBX });
  const whole = measuredKeys(log);
  assert.ok(whole);
  for (let length = 0; length < log.length; length++) {
    const told = measuredKeys(log.subarray(0, length));
    if (told !== undefined) assert.equal(told, whole);
  }
  for (let at = 0; at < log.length; at++) {
    for (const bit of [0, 3, 7]) {
      const flipped = Buffer.from(log);
      flipped.writeUInt8(flipped.readUInt8(at) ^ (1 << bit), at);
      measuredKeys(flipped);
    }
  }
  assert.is(measuredKeys(logOf({ db: DB })), undefined, 'dbx was not measured');
});

test.run();
