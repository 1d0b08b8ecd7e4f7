import type { RouteName } from '../../src/contract/routes.ts';

const BYTES = { 'content-type': 'application/octet-stream' };

/** A request of each route that its schema takes. */
export const REQUESTS: Readonly<
  Record<RouteName, { url: string; payload?: object; headers?: Record<string, string> }>
> = {
  health: { url: '/healthz' },
  ready: { url: '/readyz' },
  status: { url: '/v1/status' },
  sources: { url: '/v1/sources' },
  overrideGate: { url: '/v1/gate/override', payload: { mask: 4, seconds: 600, reason: 'HSM moved' } },
  restoreGate: { url: '/v1/gate/override' },
  testSource: { url: '/v1/sources/rdseed/test' },
  restoreSource: { url: '/v1/sources/rdseed/restore', payload: { reason: 'cable was loose' } },
  ledger: { url: '/v1/ledger' },
  events: { url: '/v1/events' },
  eventStream: { url: '/v1/events/stream' },
  configuration: { url: '/v1/config' },
  changeConfiguration: { url: '/v1/config', payload: { feedBytes: 128 } },
  selfTest: { url: '/v1/selftest' },
  external: { url: '/v1/external' },
  installSeed: { url: '/v1/install-seed' },
  feeders: { url: '/v1/feeders' },
  enrollFeeder: { url: '/v1/feeders/new?class=drbg&bitsPerByte=0.03125' },
  rotateFeeder: { url: '/v1/feeders/hsm-1/rotate' },
  disableFeeder: { url: '/v1/feeders/hsm-1/disable' },
  enableFeeder: { url: '/v1/feeders/hsm-1/enable' },
  revokeFeeder: { url: '/v1/feeders/hsm-1' },
  receiptKey: { url: '/v1/receipts/key' },
  recovery: { url: '/v1/recovery' },
  recoveryKey: { url: '/v1/recovery/show' },
  rotateRecovery: { url: '/v1/recovery/rotate' },
  acknowledgeRecovery: { url: '/v1/recovery/acknowledge' },
  escrowRecovery: { url: '/v1/recovery/escrow', payload: { recipient: 'PEM' } },
  backup: { url: '/v1/backup' },
  random: { url: '/v1/random?bytes=32' },
  tokens: { url: '/v1/tokens' },
  createToken: { url: '/v1/tokens/new?scope=observe,random' },
  revokeToken: { url: '/v1/tokens/dashboard' },
  accounts: { url: '/v1/accounts' },
  addAccount: { url: '/v1/accounts/new', payload: Buffer.from('pass word'), headers: BYTES },
  setPassword: { url: '/v1/accounts/hsm-1/password', payload: Buffer.from('pass word'), headers: BYTES },
  setRole: { url: '/v1/accounts/hsm-1/role', payload: { role: 'ReadOnly' } },
  removeAccount: { url: '/v1/accounts/hsm-1' },
  openApi: { url: '/openapi.json' },
};
