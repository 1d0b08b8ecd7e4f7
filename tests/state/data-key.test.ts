import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { dataKey } from '../../src/state/data-key.ts';
import { NoneWrapping } from '../../src/state/root-key.ts';
import { StateArchive } from '../../src/state/state-archive.ts';
import { SimulatedDisk } from '../durable/simulated-disk.ts';
import { SimulatedFiles } from '../durable/simulated-files.ts';
import { SeededStream } from '../fakes/seeded-stream.ts';
import { rejectsWith } from '../rejects.ts';

const stream = new SeededStream('data keys');
const random = (target: Uint8Array) => stream.fill(target);

async function open(files: SimulatedFiles) {
  return StateArchive.open({ mode: 'NONE' }, { files, random, wrappings: [new NoneWrapping({ random })] });
}

test('a data key is made once, and outlives the process and changes of the archive key', async () => {
  const files = new SimulatedFiles(new SimulatedDisk());
  const archive = await open(files);
  const key = await dataKey('seen-key', { archive, random });
  assert.is(key.length, 32);
  await archive.backup();
  await archive.close();
  const again = await open(files);
  assert.equal(await dataKey('seen-key', { archive: again, random }), key);
});

test('a refused archive gives no key, and none is made in its place', async () => {
  const files = new SimulatedFiles(new SimulatedDisk());
  const archive = await open(files);
  await archive.close();
  await rejectsWith(dataKey('seen-key', { archive, random }), 'state-unwritable');
});

test('what is not 32 bytes long is no key', async () => {
  const archive = await open(new SimulatedFiles(new SimulatedDisk()));
  await archive.save('seen-key', Buffer.alloc(31, 1));
  await rejectsWith(dataKey('seen-key', { archive, random }), 'state-damaged');
});

test.run();
