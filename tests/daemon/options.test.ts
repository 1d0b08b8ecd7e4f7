import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Environment } from '../../src/contract/directories.ts';
import type { StartSettings } from '../../src/contract/start-settings.ts';
import { PARAMETERS } from '../../src/contract/parameters.ts';
import { helpText } from '../../src/daemon/help-text.ts';
import { type DaemonOptions, parseCommandLine } from '../../src/daemon/options.ts';
import { throwsWith } from '../rejects.ts';

function optionsOf(
  argv: readonly string[],
  environment: Environment = {},
  file?: StartSettings,
): DaemonOptions {
  const invocation = parseCommandLine(argv, environment, 0, () => file);
  if (invocation.kind !== 'run') throw new Error(`it means ${invocation.kind}`);
  return invocation.options;
}

const NOTHING_GIVEN = [
  ['state-dir', '/var/lib/entropy-mixer'],
  ['runtime-dir', '/run/entropy-mixer'],
  ['listen', '127.0.0.1:8740'],
  ['tls-cert', ''],
  ['tls-key', ''],
  ['tls-client-ca', ''],
] as const;

test('nothing given: the places of root, no parameter, text at level info, the best module', () => {
  const { startSettings, ...options } = optionsOf([]);
  assert.equal(
    startSettings.map(({ name, value, default: initial, origin }) => [name, value, initial, origin]),
    NOTHING_GIVEN.map(([name, value]) => [name, value, value, 'default']),
  );
  assert.equal(options, {
    stateDirectory: '/var/lib/entropy-mixer',
    runtimeDirectory: '/run/entropy-mixer',
    listen: '127.0.0.1:8740',
    tls: undefined,
    installFile: '/etc/entropy-mixer/install.ks',
    encryption: {
      mode: 'none',
      tpm: undefined,
      vendorPolicy: 'esxi-7.0u3',
      verifyInstallation: false,
      efiVariables: undefined,
      passphrase: undefined,
    },
    flags: {},
    logFormat: 'text',
    logLevel: 'info',
    mixerBuild: undefined,
  });
});

test('TLS takes certificate and key, and authorities of clients only with both', () => {
  const { tls } = optionsOf(['--tls-cert', 'c', '--tls-key', 'k', '--tls-client-ca', 'a']);
  assert.equal(tls, { certificateFile: 'c', keyFile: 'k', clientAuthoritiesFile: 'a' });
  for (const half of [
    ['--tls-cert', 'c'],
    ['--tls-key', 'k'],
    ['--tls-client-ca', 'a'],
    ['--tls-cert', ''],
  ])
    throwsWith(() => optionsOf(half), 'usage');
});

test('root alone has an install file by default; anybody can name one', () => {
  const fileOf = (uid: number, ...argv: string[]) => {
    const invocation = parseCommandLine(argv, { HOME: '/home/a' }, uid, () => undefined);
    return invocation.kind === 'run' ? invocation.options.installFile : invocation.kind;
  };
  assert.is(fileOf(0), '/etc/entropy-mixer/install.ks');
  assert.is(fileOf(1000), undefined);
  assert.is(fileOf(1000, '--install-kickstart=/tmp/ks'), '/tmp/ks');
});

test('install: its own words, help and rate', () => {
  const command = (...argv: string[]) => {
    const readFile = (file: string) => (file === 'conf' ? { 'state-dir': '/named/there' } : undefined);
    const invocation = parseCommandLine(['install', ...argv], {}, 0, readFile);
    return invocation.kind === 'install' ? invocation.command : invocation.kind;
  };
  const defaults = {
    kickstart: 'ks',
    stateDirectory: '/var/lib/entropy-mixer',
    rateUnits: 1024,
    dryRun: false,
    passphrase: undefined,
  };
  assert.equal(command('--kickstart', 'ks'), defaults);
  assert.equal(command('--kickstart=ks', '--passphrase-file=secret'), {
    ...defaults,
    passphrase: { path: 'secret', isCredential: false },
  });
  assert.equal(command('--kickstart=ks', '--dry-run', '--seed-rate=7.9999', '--state-dir=/tmp/s'), {
    kickstart: 'ks',
    stateDirectory: '/tmp/s',
    rateUnits: 8191,
    dryRun: true,
    passphrase: undefined,
  });
  assert.equal(command('--kickstart=ks', '--config=conf'), { ...defaults, stateDirectory: '/named/there' });
  assert.is(command('--help'), 'help');
  for (const wrong of [[], ['--kickstart='], ['--kickstart=ks', 'more'], ['--kickstart=ks', '--listen=x']])
    throwsWith(() => command(...wrong), 'usage');
  for (const rate of ['0', '8.001', '-1', '1e0', '', '1/32', '0.0009'])
    throwsWith(() => command('--kickstart=ks', `--seed-rate=${rate}`), 'usage');
});

test('directories: flag before what systemd gives before the default', () => {
  const systemd = { STATE_DIRECTORY: '/var/lib/other', RUNTIME_DIRECTORY: '/run/other' };
  assert.is(optionsOf([], systemd).stateDirectory, '/var/lib/other');
  assert.is(optionsOf(['--runtime-dir', '/tmp/mine'], systemd).runtimeDirectory, '/tmp/mine');
});

test('paths and listener: flag before file before what systemd gives, and each origin is told', () => {
  const systemd = { STATE_DIRECTORY: '/var/lib/other', RUNTIME_DIRECTORY: '/run/other' };
  const file = { 'state-dir': '/srv/state', listen: '127.0.0.1:1' };
  const options = optionsOf(['--listen=127.0.0.1:2'], systemd, file);
  assert.equal(
    [options.stateDirectory, options.runtimeDirectory, options.listen],
    ['/srv/state', '/run/other', '127.0.0.1:2'],
  );
  assert.equal(
    options.startSettings.slice(0, 3).map(({ name, value, origin }) => `${name}=${value} ${origin}`),
    ['state-dir=/srv/state file', 'runtime-dir=/run/other default', 'listen=127.0.0.1:2 flag'],
  );
});

test('the file: at its place when there, none when told so, and refused when named and not there', () => {
  const asked: string[] = [];
  const parse = (argv: string[]) =>
    parseCommandLine(argv, {}, 0, (file) => {
      asked.push(file);
      return undefined;
    });
  parse([]);
  parse(['--config=none']);
  assert.equal(asked, ['/etc/entropy-mixer/entropyd.conf']);
  throwsWith(() => parse(['--config=/etc/other.conf']), 'config-file-refused');
});

test('every parameter of the table is a flag under its own name, and in the help', () => {
  const { flags } = optionsOf([
    '--entropy-sources=12',
    '--disable-hwrng=true',
    '--feed-interval=3600',
    '--feed-bytes=4096',
    '--credit-cpu-to-kernel=false',
  ]);
  assert.equal(flags, {
    entropySources: 12,
    disableHwrng: true,
    feedIntervalSeconds: 3600,
    feedBytes: 4096,
    creditCpuToKernel: false,
  });
  for (const { name } of Object.values(PARAMETERS)) assert.match(helpText(), `--${name}=`);
});

test('values out of range are refused with key, value and range', () => {
  throwsWith(() => optionsOf(['--entropy-sources=16']), 'parameter-invalid');
  throwsWith(() => optionsOf(['--entropy-sources=-1']), 'parameter-invalid');
  throwsWith(() => optionsOf(['--entropy-sources=0x4']), 'parameter-invalid');
  throwsWith(() => optionsOf(['--feed-interval=0']), 'parameter-invalid');
  throwsWith(() => optionsOf(['--feed-bytes=48']), 'parameter-invalid');
});

test('what is not understood is a usage error, never ignored', () => {
  throwsWith(() => optionsOf(['--feed-interva=5']), 'usage');
  throwsWith(() => optionsOf(['start']), 'usage');
  throwsWith(() => optionsOf(['--state-dir=']), 'usage');
  throwsWith(() => optionsOf(['--log-level=loud']), 'usage');
  throwsWith(() => optionsOf(['--encryption-mode=tpm2']), 'usage');
  throwsWith(() => optionsOf(['--tpm-vendor-policy=all']), 'usage');
  throwsWith(() => optionsOf(['--tpm=']), 'usage');
  throwsWith(() => optionsOf([], { ENTROPY_MIXER_WASM: 'fast' }), 'usage');
});

test('help and version win over everything else', () => {
  assert.is(parseCommandLine(['--help', '--entropy-sources=99'], {}, 0, () => undefined).kind, 'help');
  assert.is(parseCommandLine(['--version'], {}, 0, () => undefined).kind, 'version');
});

test.run();
