import type { RouteEntry } from '../src/contract/route.ts';
import { ACCESS_RULES } from '../src/contract/route-access.ts';
import { ROUTES, type RouteName } from '../src/contract/routes.ts';

/** One curl line for each route; tests/programs/api-page.test.ts runs them in their order against a daemon. */

interface Example {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: string;
  /** Arguments of curl beside method, credentials and address. */
  readonly more?: string;
}

const BYTES = "-H 'Content-Type: application/octet-stream'";
const json = (body: string): string => `--json '${body}'`;

/** Those that need more than their method and path. */
const EXAMPLES: Partial<Record<RouteName, Example>> = {
  overrideGate: { more: json('{"mask": 4, "seconds": 600, "reason": "HSM is being moved"}') },
  testSource: { params: { name: 'rdseed' } },
  restoreSource: { params: { name: 'rdseed' }, more: json('{"reason": "host was replaced"}') },
  ledger: { query: 'limit=5' },
  events: { query: 'after=0&limit=100' },
  changeConfiguration: { more: json('{"feedIntervalSeconds": 20}') },
  enrollFeeder: { params: { name: 'qrng' }, query: 'class=noise&bitsPerByte=0.5', more: '-o qrng.enrolment' },
  rotateFeeder: { params: { name: 'qrng' }, more: '-o qrng.enrolment' },
  disableFeeder: { params: { name: 'qrng' } },
  enableFeeder: { params: { name: 'qrng' } },
  setFeederWeight: { params: { name: 'qrng' }, more: json('{"weight": 2}') },
  revokeFeeder: { params: { name: 'qrng' } },
  random: { query: 'bytes=32', more: '-o random.bin' },
  createToken: {
    params: { name: 'scraper' },
    query: 'scope=observe&expiresSeconds=7776000',
    more: '-o scraper.token',
  },
  revokeToken: { params: { name: 'scraper' } },
  addAccount: { params: { name: 'svc' }, more: `${BYTES} --data-binary @password` },
  setPassword: { params: { name: 'svc' }, more: `${BYTES} --data-binary @password` },
  setRole: { params: { name: 'svc' }, more: json('{"role": "ReadOnly"}') },
  removeAccount: { params: { name: 'svc' } },
  setPassphrase: { more: `${BYTES} --data-binary @password` },
  suspendSeal: { more: json('{"boots": 1}') },
  zeroize: { more: json('{"host": "another-host"}') },
  changeEncryption: { more: json('{"mode": "NONE"}') },
  sendEntropy: {
    more: `${BYTES} -H 'Entropy-Sequence: 1' -H 'Accept: application/json' --data-binary @entropy.bin`,
  },
  intakeReceipts: { query: 'from=1', more: '-o hsm.receipts' },
  recoveryKey: { more: '-o recovery-key' },
  escrowRecovery: { more: '--json @recipient.json' },
} as Partial<Record<RouteName, Example>>;

/** Undefined for a WebSocket, which curl does not speak. */
export function curlLine(name: RouteName): string | undefined {
  const route: RouteEntry = ROUTES[name];
  if (name === 'eventStream') return undefined;
  const { params = {}, query, more } = EXAMPLES[name] ?? {};
  const path = route.url.replaceAll(/:([a-z]+)/g, (_, param: string) => params[param] ?? param);
  const address = query === undefined ? path : `${path}?${query}`;
  const isLocal = ACCESS_RULES[route.access].token === 'none';
  const place = isLocal ? `"http://localhost${address}"` : `"$API${address}"`;
  const words = [
    'curl',
    route.method === 'GET' ? undefined : `-X ${route.method}`,
    isLocal ? '--unix-socket "$SOCKET"' : credentialOf(route),
    more,
    place,
  ];
  return words.filter((word) => word !== undefined).join(' ');
}

function credentialOf({ access }: RouteEntry): string | undefined {
  if (access === 'open') return undefined;
  return access === 'external.write' ? '-H @hsm.header' : '-H @operator.header';
}
