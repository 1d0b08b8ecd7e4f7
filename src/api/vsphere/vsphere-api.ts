import { wipe } from '../../base/bytes.ts';
import { EntropyError } from '../../base/errors.ts';
import type { AccountRecord } from '../../state/accounts.ts';
import type { FeederRecord } from '../../state/feeder-record.ts';
import type { ExternalPool, PoolReport } from '../../service/external-pool.ts';
import type { LinkPeer } from '../../service/link-watch.ts';
import type { CredentialRefusals } from '../auth/credential-refusals.ts';
import type { BasicCredentials, PasswordCheck } from '../auth/password-check.ts';
import { VapiError } from './vapi-errors.ts';
import type { VapiSession, VapiSessions } from './vapi-sessions.ts';

/** The operations of the vSphere-shaped interface, whichever way they are called. Fields and units are those of vSphere API 8.0.1.0. */

export interface HostSummary {
  readonly host: string;
  readonly name: string;
  readonly connection_state: 'CONNECTED';
  readonly power_state: 'POWERED_ON';
}

export interface AddResult {
  /** Bytes, all of them. */
  readonly capacity: number;
  readonly currently_available: number;
  readonly low_watermark: number;
  /** Seconds. */
  readonly inactive_source_timeout: number;
}

export type PoolInfo = ({ readonly status: 'ENABLED' } & AddResult) | { readonly status: 'DISABLED' };

/** What hosts are asked for; undefined: whatever they are. */
export interface HostFilter {
  readonly names?: readonly string[] | undefined;
  readonly hosts?: readonly string[] | undefined;
  readonly connectionStates?: readonly string[] | undefined;
  /** Folders, clusters, data centers: this host is in none. */
  readonly isElsewhere?: boolean;
}

/** Who calls: the id of his session, if he sends one, and where he is. */
export interface VapiCaller {
  readonly token: string | undefined;
  readonly peer: LinkPeer;
}

export interface VsphereApiOptions {
  /** Of this host, as an operator knows it. */
  readonly hostName: string;
}

export interface VsphereApiDependencies {
  readonly pool: ExternalPool;
  readonly passwords: PasswordCheck;
  readonly sessions: VapiSessions;
  readonly refusals: Pick<CredentialRefusals, 'ofToken'>;
}

/** There is one host behind this interface, and this is its id. */
export const HOST_ID = 'host-1';

export class VsphereApi {
  readonly #options: VsphereApiOptions;
  readonly #dependencies: VsphereApiDependencies;

  constructor(options: VsphereApiOptions, dependencies: VsphereApiDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
  }

  /** The token of a new session. Wipes the password. */
  async login(credentials: BasicCredentials | undefined, peer: LinkPeer): Promise<string> {
    if (credentials === undefined)
      throw new VapiError(
        'UNAUTHENTICATED',
        'credential-missing',
        'Log in with the name and password of an account.',
      );
    const { passwords, sessions } = this.#dependencies;
    return sessions.create(await passwords.account(credentials, peer.ipAddress));
  }

  logout(caller: VapiCaller): void {
    this.session(caller);
    this.#dependencies.sessions.remove(caller.token ?? '');
  }

  /** Whether he has logged in; asking counts for nothing. */
  hasSession({ token }: VapiCaller): boolean {
    return token !== undefined && this.#dependencies.sessions.find(token) !== undefined;
  }

  /** Throws when there is none; ids that are wrong are counted and told as wrong tokens are. */
  session({ token, peer }: VapiCaller): VapiSession {
    const { sessions, refusals } = this.#dependencies;
    const session = token === undefined ? undefined : sessions.find(token);
    if (session !== undefined) return session;
    if (token !== undefined) {
      const detail = 'there is no session of this id';
      const refusal = refusals.ofToken({ code: 'credential-wrong', detail, address: peer.ipAddress });
      if (refusal.code !== 'credential-wrong') throw refusal;
    }
    throw new VapiError(
      'UNAUTHENTICATED',
      'session-missing',
      'There is no session of this id, or it has ended: log in again.',
    );
  }

  hosts(caller: VapiCaller, filter: HostFilter): HostSummary[] {
    this.session(caller);
    const { names, hosts, connectionStates, isElsewhere = false } = filter;
    const { hostName: name } = this.#options;
    const isWanted =
      !isElsewhere &&
      (names?.includes(name) ?? true) &&
      (hosts?.includes(HOST_ID) ?? true) &&
      (connectionStates?.includes('CONNECTED') ?? true);
    return isWanted
      ? [{ host: HOST_ID, name, connection_state: 'CONNECTED', power_state: 'POWERED_ON' }]
      : [];
  }

  /** `Host.Entropy.Read`. Whoever asks for a feeder is heard, as the feeder's client. */
  async info(caller: VapiCaller, host: string): Promise<PoolInfo> {
    const { account } = this.session(caller);
    assertHost(host);
    assertRole(account, ['Admin', 'ReadOnly'], 'Host.Entropy.Read');
    const { pool } = this.#dependencies;
    const report = await pool.report();
    if (report === undefined) return { status: 'DISABLED' };
    const feeder = account.role === 'Admin' ? pool.feederOf(account) : undefined;
    if (feeder !== undefined) await pool.heard(feeder, caller.peer);
    return { status: 'ENABLED', ...poolFields(report) };
  }

  /** `Host.Entropy.Write`. Takes what there is room for and drops the rest; wipes the data. */
  async add(caller: VapiCaller, host: string, data: Uint8Array | undefined): Promise<AddResult> {
    try {
      const feeder = this.#writer(this.session(caller).account, host);
      if (data === undefined)
        throw new VapiError(
          'INVALID_ARGUMENT',
          'data-invalid',
          'The field data is to be base64 (RFC 4648, section 4).',
          ['data'],
        );
      return await this.#added(feeder, data, caller.peer);
    } finally {
      if (data !== undefined) wipe(data);
    }
  }

  /** Throws unless this caller may add: for a look at the credentials before the body is read. */
  assertWriter(caller: VapiCaller, host: string): void {
    this.#writer(this.session(caller).account, host);
  }

  async #added(feeder: FeederRecord, data: Uint8Array, peer: LinkPeer): Promise<AddResult> {
    const { pool } = this.#dependencies;
    const { failedBytes } = await pool.add(feeder, data, peer);
    if (failedBytes > 0)
      throw new VapiError(
        'ERROR',
        'door-failed',
        `The tests at the door refused ${failedBytes} bytes of feeder ${feeder.name}: they are stuck, repeat themselves or are no conditioned bytes.`,
        [feeder.name, String(failedBytes)],
      );
    const report = await pool.report();
    if (report === undefined)
      throw new EntropyError('external-disabled', 'external entropy was taken out of the mask');
    return poolFields(report);
  }

  #writer(account: AccountRecord, host: string): FeederRecord {
    assertHost(host);
    assertRole(account, ['Admin'], 'Host.Entropy.Write');
    const feeder = this.#dependencies.pool.feederOf(account);
    if (feeder !== undefined) return feeder;
    const wanted = account.feeder?.name ?? account.name;
    throw new VapiError(
      'UNAUTHORIZED',
      'feeder-missing',
      `The account ${account.name} has no feeder to add entropy for. On the host: entropyctl mixer feeder enroll ${wanted} --class CLASS --bits-per-byte RATE`,
      [account.name, wanted],
    );
  }
}

function poolFields(report: PoolReport): AddResult {
  return {
    capacity: report.capacityBytes,
    currently_available: report.availableBytes,
    low_watermark: report.lowWatermarkBytes,
    inactive_source_timeout: report.inactiveTimeoutSeconds,
  };
}

function assertHost(host: string): void {
  if (host === HOST_ID) return;
  const shown = /^[\w.-]{1,64}$/.test(host) ? host : 'this id';
  throw new VapiError(
    'NOT_FOUND',
    'host-unknown',
    `There is no host ${shown} here; the one there is has the id ${HOST_ID}.`,
    [shown],
  );
}

function assertRole({ name, role }: AccountRecord, allowed: readonly string[], privilege: string): void {
  if (allowed.includes(role)) return;
  throw new VapiError(
    'UNAUTHORIZED',
    'privilege-missing',
    `The account ${name} has the role ${role}, which does not include ${privilege}. On the host: entropyctl system permission set -i ${name} -r ${allowed.at(-1) ?? ''}`,
    [name, privilege],
  );
}
