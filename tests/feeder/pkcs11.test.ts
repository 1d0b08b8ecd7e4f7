import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SystemClock, type Clock } from '../../src/base/clock.ts';
import { isAllZero } from '../../src/base/bytes.ts';
import { Pkcs11Input, type Pkcs11InputOptions } from '../../src/feeder/pkcs11-input.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { rejectsWith } from '../rejects.ts';
import { hasCompiler, testWhen } from '../requirements.ts';
import { bundledChild, hasSoftHsm, SoftHsm, SOFTHSM_MODULE } from './softhsm.ts';
import { temporaryDirectory, writtenFile } from './temporary.ts';
import { until } from './until.ts';

const PIN = '271828';
const directory = temporaryDirectory();
const pinFile = writtenFile(path.join(directory, 'pin'), `${PIN}\n`);
/** Beside it the packages are found, or not. */
const childCommand = await bundledChild(directory);
symlinkSync(
  fileURLToPath(new URL('../../node_modules', import.meta.url)),
  path.join(directory, 'node_modules'),
);
const softHsm = hasSoftHsm ? new SoftHsm(directory) : undefined;
softHsm?.addToken('entropy', PIN);

/** Waits of the back-off are nothing, but for the test that looks at them. */
const noJitter = (target: Uint8Array): void => void target.fill(0);

function inputWith(
  options: Partial<Pkcs11InputOptions>,
  warnings: string[] = [],
  clock: Clock = new SystemClock(),
) {
  return new Pkcs11Input(
    {
      module: SOFTHSM_MODULE,
      token: 'entropy',
      environment: softHsm?.environment ?? process.env,
      childCommand,
      ...options,
    },
    { clock, random: noJitter, warn: (text) => warnings.push(text) },
  );
}

/** A child that runs this code; `answer(kind, body)` speaks for it, and `requests(callback)` calls back with each count. */
function childDouble(code: string): Partial<Pkcs11InputOptions> {
  const prelude = `
    const { readSync, writeSync, existsSync, writeFileSync, appendFileSync } = require('node:fs');
    const [module, token] = process.argv.slice(1);
    function answer(kind, body) {
      const header = Buffer.alloc(5);
      header.writeUInt8(kind); header.writeUInt32LE(body.length, 1);
      writeSync(3, header); if (body.length > 0) writeSync(3, body);
    }
    function requests(serve) {
      for (const request = Buffer.alloc(4); readSync(3, request) === 4;) serve(request.readUInt32LE());
    }
    appendFileSync(module, 'started\\n');
  `;
  return { childCommand: [process.execPath, '-e', prelude + code] };
}

/** Children note each start in a file that takes the module's place among the arguments. */
function startsIn(file: string): number {
  return readFileSync(file, 'utf8').split('\n').length - 1;
}

async function closing<T>(input: Pkcs11Input, use: () => Promise<T>): Promise<T> {
  try {
    return await use();
  } finally {
    await input.close();
  }
}

testWhen(hasSoftHsm)('a token gives as many bytes as are asked for, each time others', async () => {
  const input = inputWith({});
  await closing(input, async () => {
    await input.open();
    const [first, second] = [Buffer.alloc(65_536), Buffer.alloc(100_000)];
    assert.is(await input.read(first), 65_536);
    assert.is(await input.read(second), 65_536, 'a request is bounded');
    for (const bytes of [first, second.subarray(0, 65_536)]) {
      // 256 bins of 256 expected each: a bin outside 128 … 384 is 8 standard deviations away.
      const bins = new Array<number>(256).fill(0);
      for (const byte of bytes) bins[byte]! += 1;
      assert.ok(bins.every((bin) => bin > 128 && bin < 384));
    }
    assert.not.equal(first, second.subarray(0, 65_536));
    assert.ok(isAllZero(second.subarray(65_536)));
    assert.is(await input.read(Buffer.alloc(1)), 1);
  });
  assert.is(await input.read(Buffer.alloc(1)), 0, 'closed is the end');
});

testWhen(hasSoftHsm)('the right PIN logs in, and stands in neither arguments nor environment', async () => {
  const input = inputWith({ pinFile });
  await closing(input, async () => {
    await input.open();
    assert.is(await input.read(Buffer.alloc(64)), 64);
    for (const place of ['cmdline', 'environ'])
      assert.not.ok(readFileSync(`/proc/${input.pid ?? 0}/${place}`, 'utf8').includes(PIN));
  });
});

testWhen(hasSoftHsm)('a wrong PIN is named and never tried twice: tokens lock themselves', async () => {
  const warnings: string[] = [];
  const wrong = writtenFile(path.join(directory, 'wrong-pin'), '999999');
  const error = await rejectsWith(inputWith({ pinFile: wrong }, warnings).open(), 'pkcs11-failed');
  assert.is(error.message, 'C_Login answered CKR_PIN_INCORRECT (0xa0)');
  assert.equal(warnings, []);
});

testWhen(hasSoftHsm)('a PIN file that others may read is refused', async () => {
  const exposed = writtenFile(path.join(directory, 'exposed-pin'), PIN, 0o644);
  const error = await rejectsWith(inputWith({ pinFile: exposed }).open(), 'key-file-exposed');
  assert.match(error.message, 'mode 0644');
});

testWhen(hasSoftHsm)('a label that no token has, or two have, is refused', async () => {
  const none = await rejectsWith(inputWith({ token: 'entrop' }).open(), 'pkcs11-failed');
  assert.match(none.message, 'no token has the label "entrop"');
  softHsm?.addToken('twice', PIN);
  softHsm?.addToken('twice', PIN);
  const two = await rejectsWith(inputWith({ token: 'twice' }).open(), 'pkcs11-failed');
  assert.match(two.message, '2 tokens have the label "twice"');
});

testWhen(hasSoftHsm)('a module that is missing, or none, is told with the reason', async () => {
  const missing = await rejectsWith(inputWith({ module: '/nowhere/libhsm.so' }).open(), 'pkcs11-failed');
  assert.match(missing.message, '/nowhere/libhsm.so');
  const file = writtenFile(path.join(directory, 'libtext.so'), 'no library');
  const wrong = await rejectsWith(inputWith({ module: file }).open(), 'pkcs11-failed');
  assert.match(wrong.message, 'libtext.so');
});

testWhen(hasSoftHsm)('a child that is killed is started again', async () => {
  const warnings: string[] = [];
  const input = inputWith({}, warnings);
  await closing(input, async () => {
    await input.open();
    for (let round = 1; round <= 3; round++) {
      const target = Buffer.alloc(256);
      const reading = input.read(target);
      process.kill(input.pid!, 'SIGKILL');
      // The first answer may have been on its way already; the next comes from a new child.
      assert.is(await reading, 256);
      assert.is(await input.read(target), 256);
      assert.not.ok(isAllZero(target));
      assert.is(warnings.length, round);
    }
    assert.match(warnings[0]!, 'ended by SIGKILL');
  });
});

test('without pkcs11js the error says so', async () => {
  const without = temporaryDirectory();
  const error = await rejectsWith(
    inputWith({ childCommand: await bundledChild(without) }).open(),
    'pkcs11-unavailable',
  );
  assert.match(error.message, "Cannot find package 'pkcs11js'");
});

test('a module that hangs is killed after 10 seconds, and given up after five restarts', async () => {
  const clock = new FakeClock();
  const warnings: string[] = [];
  const module = writtenFile(path.join(directory, 'hangs'), '');
  const input = inputWith({ ...childDouble('setInterval(() => undefined, 1e6);'), module }, warnings, clock);
  const opening = rejectsWith(input.open(), 'pkcs11-failed');
  const pids = new Set<number>();
  for (let failures = 1; failures <= 6; failures++) {
    await until(() => startsIn(module) === failures);
    pids.add(input.pid!);
    await clock.advance(9_999);
    assert.is(warnings.length, failures - 1, 'not before its time');
    await clock.advance(1);
    if (failures < 6) await until(() => warnings.length === failures);
    await clock.advance(0);
  }
  const error = await opening;
  assert.match(error.message, 'did not answer within 10 s; 5 restarts did not help');
  for (const pid of pids) assert.throws(() => process.kill(pid, 0), /ESRCH/, 'nothing is left running');
  assert.is(clock.pendingTimers, 0);
});

test('whatever goes wrong while a PIN is tried is final: it may have counted', async () => {
  const fault = { code: 'pkcs11-failed', detail: 'C_Login answered CKR_DEVICE_ERROR (0x30)', final: false };
  for (const [what, code] of [
    ['ended by SIGKILL while it logged in; not tried again', "process.kill(process.pid, 'SIGKILL');"],
    ['answered what it was not asked while it logged in', 'answer(9, Buffer.alloc(0));'],
    ['CKR_DEVICE_ERROR', `answer(2, Buffer.from('${JSON.stringify(fault)}'));`],
  ] as const) {
    const warnings: string[] = [];
    const module = writtenFile(path.join(directory, 'login'), '');
    // The first child gets through; the one after it does not.
    const double = childDouble(`answer(3, Buffer.alloc(0));
      if (require('node:fs').readFileSync(module, 'utf8') !== 'started\\n') { ${code} }
      else { answer(0, Buffer.alloc(0)); requests(() => process.kill(process.pid, 'SIGKILL')); }
      requests(() => undefined);`);
    const input = inputWith({ ...double, module }, warnings);
    await closing(input, async () => {
      await input.open();
      const error = await rejectsWith(input.read(Buffer.alloc(32)), 'pkcs11-failed');
      assert.match(error.message, what);
    });
    assert.is(startsIn(module), 2, what);
    assert.is(warnings.length, 1);
  }
});

test('a login that hangs is not tried again', async () => {
  const clock = new FakeClock();
  const warnings: string[] = [];
  const module = writtenFile(path.join(directory, 'login-hangs'), '');
  const code = `answer(3, Buffer.alloc(0)); writeFileSync(module + '.told', ''); setInterval(() => undefined, 1e6);`;
  const input = inputWith({ ...childDouble(code), module }, warnings, clock);
  const opening = rejectsWith(input.open(), 'pkcs11-failed');
  await until(() => existsSync(`${module}.told`));
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
  await clock.advance(10_000);
  const error = await opening;
  assert.match(error.message, 'did not answer within 10 s while it logged in; not tried again');
  assert.equal([startsIn(module), warnings], [1, []]);
});

testWhen(hasSoftHsm)('the child announces a login, and without a PIN none', async () => {
  for (const [argv, kinds] of [
    [
      [SOFTHSM_MODULE, 'entropy', pinFile],
      [3, 0],
    ],
    [[SOFTHSM_MODULE, 'entropy'], [0]],
  ] as const) {
    const [program = '', ...args] = childCommand;
    const child = spawn(program, [...args, ...argv], {
      detached: true,
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
      env: softHsm?.environment,
    });
    const stream = child.stdio[3] as Duplex;
    let told = Buffer.alloc(0);
    stream.on('data', (chunk: Buffer) => (told = Buffer.concat([told, chunk])));
    await until(() => told.length === 5 * kinds.length);
    assert.equal(
      kinds.map((_, index) => told[5 * index]),
      [...kinds],
    );
    stream.end();
    await new Promise((resolve) => child.once('close', resolve));
    assert.is(child.exitCode, 0);
  }
});

testWhen(hasCompiler)(
  'a child in a library that does not return ends when the feeder is killed',
  async () => {
    const source = writtenFile(
      path.join(directory, 'hangs.c'),
      '#include <unistd.h>\nint C_GetFunctionList(void *list) { (void)list; for (;;) pause(); }\n',
    );
    const module = path.join(directory, 'libhangs.so');
    assert.is(spawnSync('cc', ['-shared', '-fPIC', '-o', module, source]).status, 0);
    // Stands for the feeder: starts the child as the feeder does, tells its id, and is killed.
    const feeder = spawn(
      process.execPath,
      [
        '-e',
        `const [program, ...args] = ${JSON.stringify([...childCommand, module, 'any'])};
       const stdio = ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'];
       const child = require('node:child_process').spawn(program, args, { detached: true, stdio });
       console.log(child.pid);`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const pid = await new Promise<number>((resolve) =>
      feeder.stdout.once('data', (chunk: Buffer) => resolve(Number(chunk.toString()))),
    );
    await until(() => readFileSync(`/proc/${pid}/maps`, 'utf8').includes('libhangs.so'));
    feeder.kill('SIGKILL');
    await until(
      () => !existsSync(`/proc/${pid}`) || /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8')),
    );
  },
);

test('five failures in a row, not in all: an answer counts from the start again', async () => {
  const warnings: string[] = [];
  const module = writtenFile(path.join(directory, 'one-each'), '');
  const input = inputWith(
    {
      ...childDouble(`answer(0, Buffer.alloc(0));
        requests((count) => { answer(1, Buffer.alloc(count, 7)); process.kill(process.pid, 'SIGKILL'); });`),
      module,
    },
    warnings,
  );
  await closing(input, async () => {
    await input.open();
    for (let round = 0; round < 8; round++) {
      assert.is(await input.read(Buffer.alloc(32)), 32);
    }
  });
  assert.ok(startsIn(module) >= 7);
});

for (const [what, code] of [
  [
    'more bytes than were asked for',
    'answer(0, Buffer.alloc(0)); requests((count) => answer(1, Buffer.alloc(count + 1)));',
  ],
  ['fewer bytes', 'answer(0, Buffer.alloc(0)); requests((count) => answer(1, Buffer.alloc(count - 1)));'],
  ['bytes nobody asked for', 'answer(1, Buffer.alloc(8)); requests(() => undefined);'],
  [
    'an answer longer than any may be',
    'writeSync(3, Buffer.from([1, 1, 0, 1, 0])); requests(() => undefined);',
  ],
  ['an answer of no kind', 'answer(9, Buffer.alloc(0)); requests(() => undefined);'],
  ['an error that is none', 'answer(2, Buffer.from("CKR_OK")); requests(() => undefined);'],
] as const) {
  test(`a child that answers with ${what} is believed nothing`, async () => {
    const warnings: string[] = [];
    const module = writtenFile(path.join(directory, 'nonsense'), '');
    const input = inputWith({ ...childDouble(code), module, maximumRestarts: 1 }, warnings);
    const target = Buffer.alloc(64);
    await closing(input, async () => {
      const error = await rejectsWith(
        input.open().then(() => input.read(target)),
        'pkcs11-failed',
      );
      assert.match(error.message, 'answered what it was not asked');
    });
    assert.ok(isAllZero(target));
    assert.is(warnings.length, 1);
  });
}

test('an error of the token after it worked brings a new session, without a restart of the feeder', async () => {
  const warnings: string[] = [];
  const module = writtenFile(path.join(directory, 'device-error'), '');
  const fault = {
    code: 'pkcs11-failed',
    detail: 'C_GenerateRandom answered CKR_DEVICE_ERROR (0x30)',
    final: false,
  };
  const input = inputWith(
    {
      ...childDouble(`answer(0, Buffer.alloc(0));
        const first = require('node:fs').readFileSync(module, 'utf8') === 'started\\n';
        requests((count) => first ? answer(2, Buffer.from('${JSON.stringify(fault)}')) : answer(1, Buffer.alloc(count, 7)));`),
      module,
    },
    warnings,
  );
  await closing(input, async () => {
    await input.open();
    assert.is(await input.read(Buffer.alloc(32)), 32);
  });
  assert.equal(warnings, [`${fault.detail}; the PKCS#11 child is started again`]);
});

test('a program that cannot be run is told at once', async () => {
  const error = await rejectsWith(inputWith({ childCommand: ['/nowhere/node'] }).open(), 'pkcs11-failed');
  assert.match(error.message, 'the child cannot run');
});

test.run();
