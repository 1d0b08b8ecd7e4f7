import { parseArgs } from 'node:util';
import { EntropyError, messageOf } from '../base/errors.ts';
import {
  FEED_PATH,
  FEEDER_NAME_PATTERN,
  PAYLOAD_MAXIMUM_BYTES,
  PAYLOAD_MINIMUM_BYTES,
} from '../protocol/limits.ts';
import { type FeedTlsOptions, parsePin } from './feed-tls.ts';
import { CHUNK_BYTES, helpText, verifyHelpText } from './help.ts';
import { SEED_OPTIONS, seedBytes, seedSources } from './seed-options.ts';

/** Where the bytes come from. */
export type SourceOptions =
  | { readonly kind: 'file' | 'device'; readonly path: string }
  | { readonly kind: 'stdin' }
  | {
      readonly kind: 'pkcs11';
      readonly module: string;
      readonly token: string;
      readonly pinFile: string | undefined;
    };

export interface FeedOptions {
  readonly enrolmentFile: string;
  /** Instead of those of the enrolment. */
  readonly url: string | undefined;
  readonly feeder: string | undefined;
  /** For a wss: URL; undefined when nothing of it was given. */
  readonly tls: FeedTlsOptions | undefined;
  readonly once: boolean;
  readonly bytesPerSecond: number | undefined;
  readonly chunkBytes: number;
  readonly totalBytes: number | undefined;
  readonly receiptsFile: string | undefined;
  readonly progress: 'auto' | 'json' | 'none';
  readonly source: SourceOptions;
}

/** An install seed for a kickstart, instead of a feed. */
export interface KickstartOptions {
  readonly file: string;
  readonly bytes: number;
  readonly sources: number;
  readonly source: SourceOptions;
}

export interface VerifyOptions {
  readonly receiptsFile: string;
  /** 64 hexadecimal digits, or a file that holds them, or an enrolment file. */
  readonly key: string;
}

/** What the command line asks for. */
export type Invocation =
  | { readonly kind: 'feed'; readonly options: FeedOptions }
  | { readonly kind: 'kickstart'; readonly options: KickstartOptions }
  | { readonly kind: 'verify'; readonly options: VerifyOptions }
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'version' };

const PROGRESS = ['auto', 'json', 'none'] as const;
const MAXIMUM_LABEL_BYTES = 32;

/** Options that mean something to one source only. */
const PKCS11_OPTIONS = ['module', 'token', 'pin-file'] as const;

/** @throws EntropyError usage */
export function parseCommandLine(argv: readonly string[]): Invocation {
  const { values, positionals } = parsed(argv);
  const [word, ...rest] = positionals;
  if (values.help === true) return { kind: 'help', text: word === 'verify' ? verifyHelpText() : helpText() };
  if (values.version === true) return { kind: 'version' };
  if (word === 'verify') return { kind: 'verify', options: verifyOptions(values, rest) };
  if (values.kickstart !== undefined)
    return { kind: 'kickstart', options: kickstartOptions(values, word, rest) };
  refuseOptions(values, SEED_OPTIONS, 'for --kickstart only');
  return { kind: 'feed', options: feedOptions(values, word, rest) };
}

type Values = Readonly<Record<string, string | boolean | undefined>>;

function parsed(argv: readonly string[]): {
  readonly values: Values;
  readonly positionals: readonly string[];
} {
  const string = { type: 'string' } as const;
  const boolean = { type: 'boolean' } as const;
  try {
    return parseArgs({
      args: [...argv],
      strict: true,
      allowPositionals: true,
      options: {
        key: string,
        url: string,
        feeder: string,
        ca: string,
        pin: string,
        'tls-cert': string,
        'tls-key': string,
        once: boolean,
        rate: string,
        chunk: string,
        total: string,
        receipts: string,
        progress: string,
        module: string,
        token: string,
        'pin-file': string,
        kickstart: string,
        bytes: string,
        sources: string,
        help: { ...boolean, short: 'h' },
        version: boolean,
      },
    });
  } catch (error) {
    throw new EntropyError('usage', messageOf(error), { cause: error });
  }
}

function feedOptions(values: Values, word: string | undefined, rest: readonly string[]): FeedOptions {
  const source = sourceOptions(values, word, rest);
  return {
    enrolmentFile: required(values, 'key', 'the enrolment file'),
    url: urlOf(text(values, 'url')),
    feeder: feederOf(text(values, 'feeder')),
    tls: tlsOptions(values),
    once: values.once === true,
    bytesPerSecond: wholeNumber(values, 'rate', 1, Number.MAX_SAFE_INTEGER),
    chunkBytes: wholeNumber(values, 'chunk', PAYLOAD_MINIMUM_BYTES, PAYLOAD_MAXIMUM_BYTES) ?? CHUNK_BYTES,
    totalBytes: wholeNumber(values, 'total', PAYLOAD_MINIMUM_BYTES, Number.MAX_SAFE_INTEGER),
    receiptsFile: text(values, 'receipts'),
    progress: oneOf('--progress', text(values, 'progress') ?? 'auto', PROGRESS),
    source,
  };
}

function kickstartOptions(
  values: Values,
  word: string | undefined,
  rest: readonly string[],
): KickstartOptions {
  const own: readonly string[] = ['kickstart', ...SEED_OPTIONS, ...PKCS11_OPTIONS];
  const others = Object.keys(values).filter((name) => !own.includes(name));
  refuseOptions(values, others, 'not for --kickstart, which feeds nobody');
  return {
    file: required(values, 'kickstart', 'the file to make'),
    bytes: seedBytes(required(values, 'bytes', 'how much, such as 4MiB')),
    sources: seedSources(required(values, 'sources', 'the source mask of the host, such as 12')),
    source: sourceOptions(values, word, rest),
  };
}

function sourceOptions(values: Values, word: string | undefined, rest: readonly string[]): SourceOptions {
  if (word !== 'pkcs11') refuseOptions(values, PKCS11_OPTIONS, 'for the source pkcs11 only');
  switch (word) {
    case 'file':
    case 'device':
      return { kind: word, path: onlyWord(rest, `the source ${word} takes one PATH`) };
    case 'stdin':
      noMoreWords(rest);
      return { kind: 'stdin' };
    case 'pkcs11':
      noMoreWords(rest);
      return {
        kind: 'pkcs11',
        module: required(values, 'module', "the vendor's library"),
        token: label(required(values, 'token', 'the label of the token')),
        pinFile: text(values, 'pin-file'),
      };
    case undefined:
      throw new EntropyError('usage', 'a SOURCE is missing: file PATH, stdin, device PATH or pkcs11');
    default:
      throw new EntropyError('usage', `there is no source "${word}"; it is file, stdin, device or pkcs11`);
  }
}

function verifyOptions(values: Values, rest: readonly string[]): VerifyOptions {
  const others = Object.keys(values).filter((name) => name !== 'key');
  refuseOptions(values, others, 'not for verify');
  return {
    receiptsFile: onlyWord(rest, 'verify takes one file of receipts'),
    key: required(values, 'key', 'the receipt key: without it nothing is proven'),
  };
}

function refuseOptions(values: Values, names: readonly string[], why: string): void {
  const given = names.find((name) => values[name] !== undefined);
  if (given !== undefined) throw new EntropyError('usage', `--${given} is ${why}`);
}

function onlyWord(words: readonly string[], rule: string): string {
  const [only = '', ...others] = words;
  if (only === '' || others.length > 0) throw new EntropyError('usage', rule);
  return only;
}

function noMoreWords(words: readonly string[]): void {
  if (words.length > 0) throw new EntropyError('usage', `"${words.join(' ')}" is too much`);
}

/** The host's root means its feed. */
function urlOf(given: string | undefined): string | undefined {
  if (given === undefined) return undefined;
  const url = URL.canParse(given) ? new URL(given) : undefined;
  const isFeed = url !== undefined && ['ws:', 'wss:'].includes(url.protocol);
  if (!isFeed || url.username !== '' || url.password !== '' || url.hash !== '')
    throw new EntropyError('usage', '--url takes ws://HOST:PORT or wss://HOST:PORT');
  if (url.pathname === '/') url.pathname = FEED_PATH;
  return url.href;
}

function feederOf(name: string | undefined): string | undefined {
  if (name === undefined || FEEDER_NAME_PATTERN.test(name)) return name;
  throw new EntropyError('usage', '--feeder takes 1 to 32 of a-z 0-9 . _ -, first a letter or digit');
}

function tlsOptions(values: Values): FeedTlsOptions | undefined {
  const pin = pinIn(text(values, 'pin'));
  const authoritiesFile = text(values, 'ca');
  const certificateFile = text(values, 'tls-cert');
  const keyFile = text(values, 'tls-key');
  if ((certificateFile === undefined) !== (keyFile === undefined))
    throw new EntropyError('usage', '--tls-cert and --tls-key belong together');
  if (pin === undefined && authoritiesFile === undefined && certificateFile === undefined) return undefined;
  const client =
    certificateFile === undefined || keyFile === undefined ? undefined : { certificateFile, keyFile };
  return { authoritiesFile, pin, client };
}

function pinIn(given: string | undefined): Uint8Array | undefined {
  const pin = given === undefined ? undefined : parsePin(given);
  if (given === undefined || pin !== undefined) return pin;
  throw new EntropyError('usage', '--pin takes 64 hexadecimal digits, or sha256// and base64');
}

function label(text: string): string {
  if (Buffer.byteLength(text) <= MAXIMUM_LABEL_BYTES) return text;
  throw new EntropyError('usage', `a token's label has at most ${MAXIMUM_LABEL_BYTES} bytes`);
}

function wholeNumber(values: Values, name: string, least: number, most: number): number | undefined {
  const given = text(values, name);
  if (given === undefined) return undefined;
  const number = /^[0-9]{1,16}$/.test(given) ? Number(given) : NaN;
  if (number >= least && number <= most) return number;
  const range = most === Number.MAX_SAFE_INTEGER ? `${least} or more` : `${least} to ${most}`;
  throw new EntropyError('usage', `--${name} takes a whole number, ${range}`);
}

function required(values: Values, name: string, what: string): string {
  const given = text(values, name);
  if (given === undefined) throw new EntropyError('usage', `--${name} is missing: ${what}`);
  return given;
}

function text(values: Values, name: string): string | undefined {
  const value = values[name];
  if (value === '') throw new EntropyError('usage', `--${name} was given an empty value`);
  return typeof value === 'string' ? value : undefined;
}

function oneOf<const T extends string>(name: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((candidate) => candidate === value);
  if (found === undefined) throw new EntropyError('usage', `${name} takes ${allowed.join(', ')}`);
  return found;
}
