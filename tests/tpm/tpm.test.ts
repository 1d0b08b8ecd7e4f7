import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SystemClock } from '../../src/base/clock.ts';
import { isEntropyError } from '../../src/base/errors.ts';
import { extended } from '../../src/tpm/pcr.ts';
import { Tpm } from '../../src/tpm/tpm.ts';
import { transportError } from '../../src/tpm/transport.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { seededSource, SeededStream } from '../fakes/seeded-stream.ts';
import { count } from '../counts.ts';
import { rejectsWith } from '../rejects.ts';
import { testWhen } from '../requirements.ts';
import { hasSwtpm, hasTpm2Tools, SoftwareTpm, withSoftwareTpm } from './software-tpm.ts';

const dependencies = { clock: new SystemClock(), random: seededSource() };
const directory = mkdtempSync(path.join(tmpdir(), 'tpm-test-'));
let software: SoftwareTpm;
if (hasSwtpm) software = await SoftwareTpm.start();

/** Answers each command with what it is told, on a socket like swtpm's. */
async function answering(
  answer: (command: Buffer) => Buffer | undefined,
  work: (path: string) => Promise<void>,
): Promise<void> {
  const socket = path.join(directory, 'answering');
  const clients = new Set<Socket>();
  const server = createServer((client) => {
    clients.add(client);
    client.on('error', () => undefined);
    client.on('data', (command) => {
      const bytes = answer(command);
      if (bytes !== undefined) client.write(bytes);
    });
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  try {
    await work(`swtpm:${socket}`);
  } finally {
    for (const client of clients) client.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
}

testWhen(hasSwtpm)('a TPM says who made it, and what its PCRs are', async () => {
  await software.use(async (tpm) => {
    const { manufacturer, model, firmware } = await tpm.identify();
    assert.is(manufacturer, 'IBM');
    assert.is(model, 'SW   TPM');
    assert.match(firmware, /^\d+\.\d+\.\d+\.\d+$/);
    await tpm.requireSha256Bank([0, 7, 23]);
    assert.is((await tpm.randomBytes(32)).length, 32);
  });
});

testWhen(hasTpm2Tools)('PCRs are extended as computed here, and 23 can be reset', async () => {
  await software.use(async (tpm) => {
    const digest = Buffer.alloc(32, 5);
    await tpm.extendPcr(23, digest);
    const pcrs = [...Array(24).keys()];
    const values = await tpm.readPcrs(pcrs);
    assert.equal([...values.keys()], pcrs, 'more than one answer holds');
    assert.equal(values.get(23), extended(Buffer.alloc(32), digest));
    assert.equal(values.get(17), Buffer.alloc(32, 0xff), 'as nobody launched anything measured');
    await tpm.resetPcr(23);
    assert.equal((await tpm.readPcrs([23])).get(23), Buffer.alloc(32));
  });
  assert.match(software.tool('tpm2_pcrread', 'sha256:23').toString(), /23: 0x0{64}/);
});

testWhen(hasTpm2Tools)('a counter counts on over reboots, and one made anew begins above it', async () => {
  const read = (subject = '/var/lib/a'): Promise<bigint> =>
    software.use((tpm) => tpm.withStorageRoot({}, (root) => tpm.counter(subject).read(root)));
  await rejectsWith(read(), 'tpm-nv-missing');
  await software.use((tpm) =>
    tpm.withStorageRoot({}, async (root) => {
      const counter = tpm.counter('/var/lib/a');
      assert.not(await counter.isDefined());
      await counter.define(root);
      assert.ok(await counter.isDefined());
      await counter.increment(root);
      await rejectsWith(counter.define(root), 'tpm-refused');
    }),
  );
  const before = await read();
  await software.reboot();
  assert.is(await read(), before);
  const index = `0x${(await software.use((tpm) => Promise.resolve(tpm.counter('/var/lib/a').index))).toString(16)}`;
  assert.is(software.tool('tpm2_nvread', index).readBigUInt64BE(), before, 'tpm2-tools read the same');
  await software.use((tpm) =>
    tpm.withStorageRoot({}, async (root) => {
      const counter = tpm.counter('/var/lib/a');
      assert.ok(await counter.undefine(root));
      assert.not(await counter.undefine(root));
      await counter.define(root);
    }),
  );
  assert.ok((await read()) > before);
});

testWhen(hasTpm2Tools)('an index that belongs to something else is left alone', async () => {
  await software.use(async (tpm) => {
    const { index } = tpm.counter('foreign');
    await tpm.close();
    software.tool(
      'tpm2_nvdefine',
      `0x${index.toString(16)}`,
      '-C',
      'o',
      '-s',
      '8',
      '-a',
      'ownerread|ownerwrite',
    );
  });
  await software.use((tpm) =>
    tpm.withStorageRoot({}, async (root) => {
      await rejectsWith(tpm.counter('foreign').isDefined(), 'tpm-nv-foreign');
      await rejectsWith(tpm.counter('foreign').read(root), 'tpm-nv-foreign');
    }),
  );
});

testWhen(hasTpm2Tools)('an owner hierarchy with an authorization value is told as such', async () => {
  software.tool('tpm2_changeauth', '-c', 'owner', 'password');
  await software.use((tpm) => rejectsWith(tpm.provisionStorageRoot(), 'tpm-owned'));
  software.tool('tpm2_changeauth', '-c', 'owner', '-p', 'password');
});

testWhen(hasSwtpm)('a TPM 1.2 is told as such', async () => {
  const old = await SoftwareTpm.start({ family: '1.2' });
  try {
    await rejectsWith(Tpm.open(old.path, dependencies), 'tpm-version');
  } finally {
    await old.remove();
  }
});

testWhen(hasTpm2Tools)('a TPM without a SHA-256 bank is told as such', async () => {
  await withSoftwareTpm(async (sha1) => {
    sha1.tool('tpm2_pcrallocate', 'sha1:all+sha256:none+sha384:none+sha512:none');
    await sha1.reboot();
    await sha1.use(async (tpm) => {
      await rejectsWith(tpm.requireSha256Bank([7]), 'tpm-no-sha256');
      await rejectsWith(tpm.readPcrs([7]), 'tpm-no-sha256');
    });
  });
});

test('where there is no TPM, or it may not be used, its own code says so', async () => {
  await rejectsWith(Tpm.open(path.join(directory, 'none'), dependencies), 'tpm-absent');
  await rejectsWith(Tpm.open(`swtpm:${directory}/none`, dependencies), 'tpm-absent');
  const file = path.join(directory, 'file');
  writeFileSync(file, '');
  await rejectsWith(Tpm.open(file, dependencies), 'tpm-absent');
  const codeOf = (errno: string): string => {
    const error = transportError(Object.assign(new Error(errno), { code: errno }), '/dev/tpmrm0');
    return isEntropyError(error) ? error.code : 'none';
  };
  assert.equal(['EACCES', 'EPERM', 'EBUSY', 'ENODEV', 'EIO'].map(codeOf), [
    'tpm-permission',
    'tpm-permission',
    'tpm-busy',
    'tpm-absent',
    'tpm-protocol',
  ]);
});

test('a TPM that does not answer is given up, and stays given up', async () => {
  const clock = new FakeClock();
  let asked: () => void;
  const command = new Promise<void>((resolve) => {
    asked = resolve;
  });
  await answering(
    () => {
      asked();
      return undefined;
    },
    async (socket) => {
      const opening = rejectsWith(Tpm.open(socket, { ...dependencies, clock }), 'tpm-timeout');
      await command;
      await clock.advance(10_000);
      await opening;
    },
  );
});

test('a TPM that is busy is asked again, five times', async () => {
  const clock = new FakeClock();
  let commands = 0;
  const retry = Buffer.from('80010000000a00000922', 'hex');
  await answering(
    () => {
      commands++;
      return retry;
    },
    async (socket) => {
      const opening = rejectsWith(Tpm.open(socket, { ...dependencies, clock }), 'tpm-refused');
      const settled = opening.then(() => true);
      while (!(await Promise.race([settled, oneTurn()]))) await clock.advance(10);
      assert.is(commands, 6);
    },
  );
});

/** Lets the event loop come round once. */
function oneTurn(): Promise<false> {
  return new Promise((resolve) => setImmediate(() => resolve(false)));
}

/** Answers that hold together outside and are random inside, and answers that are random altogether. */
function nonsense(stream: SeededStream, number: number): Buffer {
  const body = Buffer.from(stream.bytes(stream.bytes(1)[0]! % 96));
  if (number % 4 === 0) return Buffer.concat([Buffer.alloc(1), body]);
  const header = Buffer.alloc(10);
  header.writeUInt16BE(number % 8 === 1 ? 0x8002 : 0x8001);
  const size = number % 16 === 2 ? Buffer.from(stream.bytes(4)).readUInt32BE() : 10 + body.length;
  header.writeUInt32BE(size, 2);
  if (number % 8 === 3) header.writeUInt32BE(body.length, 6);
  return Buffer.concat([header, body]);
}

test('nonsense from a TPM is always an error with a code, never a crash', async () => {
  const stream = new SeededStream('nonsense');
  const success = Buffer.from('80010000000a00000000', 'hex');
  for (let number = 0; number < count(200, 5_000); number++) {
    let answers = 0;
    await answering(
      () => (answers++ === 0 ? success : nonsense(stream, number)),
      async (socket) => {
        const tpm = await Tpm.open(socket, { ...dependencies, clock: dependencies.clock });
        const work: readonly (() => Promise<unknown>)[] = [
          () => tpm.identify(),
          () => tpm.requireSha256Bank([7]),
          () => tpm.readPcrs([7]),
          () => tpm.withStorageRoot({}, (root) => tpm.counter('x').read(root)),
          () => tpm.endorsementName(),
          () => tpm.randomBytes(8),
        ];
        const outcome: unknown = await Promise.race([
          work[number % work.length]!().catch((error: unknown) => error),
          new Promise((resolve) => setTimeout(() => resolve('short answer: still waiting'), 50)),
        ]);
        assert.ok(!(outcome instanceof Error) || isEntropyError(outcome), String(outcome));
        await tpm.close();
      },
    );
  }
});

test.after(async () => {
  rmSync(directory, { recursive: true, force: true });
  if (hasSwtpm) await software.remove();
});

test.run();
