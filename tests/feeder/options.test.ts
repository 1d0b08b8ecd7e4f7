import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EXIT } from '../../src/base/errors.ts';
import { helpText } from '../../src/feeder/help.ts';
import { parseCommandLine } from '../../src/feeder/options.ts';
import { throwsWith } from '../rejects.ts';

function feed(...argv: readonly string[]) {
  const invocation = parseCommandLine(['--key', 'enrolment', ...argv]);
  if (invocation.kind !== 'feed') throw new Error(`it is ${invocation.kind}`);
  return invocation.options;
}

test('what is not given has its default', () => {
  assert.equal(feed('stdin'), {
    enrolmentFile: 'enrolment',
    url: undefined,
    feeder: undefined,
    tls: undefined,
    once: false,
    bytesPerSecond: undefined,
    chunkBytes: 4096,
    totalBytes: undefined,
    receiptsFile: undefined,
    progress: 'auto',
    source: { kind: 'stdin' },
  });
});

test('each option is read, before or after the source', () => {
  const options = feed(
    ...['--once', '--rate', '1000', 'file', '/some/path', '--chunk=65536', '--total', '32'],
    ...['--receipts', 'r', '--progress', 'json', '--feeder', 'hsm-1', '--url', 'ws://[::1]:9/v1/feed'],
  );
  assert.equal(options, {
    enrolmentFile: 'enrolment',
    url: 'ws://[::1]:9/v1/feed',
    feeder: 'hsm-1',
    tls: undefined,
    once: true,
    bytesPerSecond: 1000,
    chunkBytes: 65_536,
    totalBytes: 32,
    receiptsFile: 'r',
    progress: 'json',
    source: { kind: 'file', path: '/some/path' },
  });
});

test('--kickstart takes a size, a mask and a source, and nothing of a feed', () => {
  const words = ['--kickstart', 'ks', '--bytes', '4MiB', '--sources', '12'];
  const invocation = parseCommandLine([...words, 'device', '/dev/ttyACM0']);
  assert.equal(invocation, {
    kind: 'kickstart',
    options: { file: 'ks', bytes: 4_194_304, sources: 12, source: { kind: 'device', path: '/dev/ttyACM0' } },
  });
  const sizes = {
    '512000': 512_000,
    '500KiB': 512_000,
    '512kB': 512_000,
    '10MB': 10_000_000,
    '10MiB': 10_485_760,
  };
  for (const [text, bytes] of Object.entries(sizes)) {
    const { options } = parseCommandLine([
      '--kickstart=ks',
      `--bytes=${text}`,
      '--sources=0',
      'stdin',
    ]) as typeof invocation & { kind: 'kickstart' };
    assert.is(options.bytes, bytes, text);
  }
  for (const wrong of [
    ['--kickstart', 'ks', '--sources', '12', 'stdin'],
    ['--kickstart', 'ks', '--bytes', '4MiB', 'stdin'],
    ['--kickstart', 'ks', '--bytes', '511999', '--sources', '12', 'stdin'],
    ['--kickstart', 'ks', '--bytes', '10MiBx', '--sources', '12', 'stdin'],
    ['--kickstart', 'ks', '--bytes', '11MiB', '--sources', '12', 'stdin'],
    ['--kickstart', 'ks', '--bytes', '4MiB', '--sources', '16', 'stdin'],
    [...words],
    [...words, '--key', 'k', 'stdin'],
    [...words, '--rate', '5', 'stdin'],
    ['--key', 'k', '--bytes', '4MiB', 'stdin'],
  ])
    throwsWith(() => parseCommandLine(wrong), 'usage');
});

test('a URL without a path means the feed', () => {
  assert.is(feed('stdin', '--url', 'ws://host:8740').url, 'ws://host:8740/v1/feed');
  assert.is(feed('stdin', '--url', 'wss://host/else').url, 'wss://host/else');
});

test('a pin is 64 digits, with colons or without, or base64 as curl has it', () => {
  const pin = Buffer.alloc(32, 0xab);
  const digits = pin.toString('hex');
  for (const text of [
    digits,
    digits.toUpperCase(),
    'ab:'.repeat(31) + 'ab',
    `sha256//${pin.toString('base64')}`,
  ])
    assert.equal(feed('stdin', '--pin', text).tls, { authoritiesFile: undefined, pin, client: undefined });
  for (const text of [digits.slice(1), `${digits}00`, 'x'.repeat(64), 'sha256//AAAA', pin.toString('base64')])
    throwsWith(() => feed('stdin', '--pin', text), 'usage');
});

test('certificate and key of a feeder belong together', () => {
  assert.equal(feed('stdin', '--tls-cert', 'c', '--tls-key', 'k').tls?.client, {
    certificateFile: 'c',
    keyFile: 'k',
  });
  throwsWith(() => feed('stdin', '--tls-cert', 'c'), 'usage');
  throwsWith(() => feed('stdin', '--ca', 'a', '--tls-key', 'k'), 'usage');
});

test('pkcs11 takes its own options, and no other source does', () => {
  const { source } = feed('pkcs11', '--module', '/m.so', '--token', 'hsm', '--pin-file', '/pin');
  assert.equal(source, { kind: 'pkcs11', module: '/m.so', token: 'hsm', pinFile: '/pin' });
  assert.equal(feed('pkcs11', '--module', '/m.so', '--token', 'hsm').source, {
    kind: 'pkcs11',
    module: '/m.so',
    token: 'hsm',
    pinFile: undefined,
  });
  throwsWith(() => feed('stdin', '--module', '/m.so'), 'usage');
  throwsWith(() => feed('pkcs11', '--module', '/m.so'), 'usage');
  throwsWith(() => feed('pkcs11', '--token', 'hsm'), 'usage');
  throwsWith(() => feed('pkcs11', '--module', '/m.so', '--token', 'x'.repeat(33)), 'usage');
});

test('what is not understood is refused with what would be', () => {
  for (const argv of [
    [],
    ['tpm'],
    ['file'],
    ['file', 'a', 'b'],
    ['stdin', 'more'],
    ['stdin', '--unknown'],
    ['stdin', '--rate', '0'],
    ['stdin', '--rate', '1.5'],
    ['stdin', '--rate=-1'],
    ['stdin', '--chunk', '31'],
    ['stdin', '--chunk', '65537'],
    ['stdin', '--chunk', '0x100'],
    ['stdin', '--total', '31'],
    ['stdin', '--total', ''],
    ['stdin', '--progress', 'loud'],
    ['stdin', '--feeder', 'Has Space'],
    ['stdin', '--url', 'http://host:8740'],
    ['stdin', '--url', 'ws://user:pass@host:8740'],
    ['stdin', '--url', 'not a url'],
  ])
    throwsWith(() => feed(...argv), 'usage');
  throwsWith(() => parseCommandLine(['stdin']), 'usage');
});

test('verify takes a file and a key, and nothing of the feed', () => {
  assert.equal(parseCommandLine(['verify', 'r', '--key', 'k']), {
    kind: 'verify',
    options: { receiptsFile: 'r', key: 'k' },
  });
  throwsWith(() => parseCommandLine(['verify', 'r']), 'usage');
  throwsWith(() => parseCommandLine(['verify', '--key', 'k']), 'usage');
  throwsWith(() => parseCommandLine(['verify', 'r', '--key', 'k', '--once']), 'usage');
});

test('help names every option, every source and every exit code it can end with', () => {
  const help = parseCommandLine(['--help']);
  assert.equal(help, { kind: 'help', text: helpText() });
  for (const word of [
    ...['file PATH', 'stdin', 'device PATH', 'pkcs11', '--module', '--token', '--pin-file'],
    ...[
      '--ca',
      '--pin',
      '--tls-cert',
      '--tls-key',
      '--key',
      '--url',
      '--feeder',
      '--once',
      '--rate',
      '--chunk',
      '--total',
      '--receipts',
      '--progress',
    ],
  ])
    assert.ok(helpText().includes(word), word);
  for (const code of [
    EXIT.externalDisabled,
    EXIT.connection,
    EXIT.authentication,
    EXIT.input,
    EXIT.integrity,
  ])
    assert.match(helpText(), new RegExp(`^ +${code}  `, 'm'));
  const verifyHelp = parseCommandLine(['verify', '--help']);
  assert.ok(verifyHelp.kind === 'help' && verifyHelp.text.includes('entropy-feed verify RECEIPTS'));
  assert.ok(
    helpText()
      .split('\n')
      .every((line) => line.length <= 130),
  );
});

test.run();
