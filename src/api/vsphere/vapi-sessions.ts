import { createHash } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import { EntropyError } from '../../base/errors.ts';
import { randomBytes, type RandomSource } from '../../base/random.ts';
import { MS_PER_SECOND } from '../../base/units.ts';
import type { AccountRecord, Accounts } from '../../state/accounts.ts';

export interface VapiSessionsOptions {
  readonly maximum: number;
  /** Of one account; one more takes the place of that which was used longest ago. */
  readonly maximumPerAccount: number;
  readonly idleSeconds: number;
  readonly lifetimeSeconds: number;
}

export const VAPI_SESSION_LIMITS: VapiSessionsOptions = {
  maximum: 256,
  maximumPerAccount: 32,
  idleSeconds: 1_800,
  lifetimeSeconds: 86_400,
};

export interface VapiSessionsDependencies {
  readonly accounts: Pick<Accounts, 'find'>;
  readonly random: RandomSource;
  readonly clock: Clock;
}

export interface VapiSession {
  readonly account: AccountRecord;
  readonly createdMs: number;
  readonly lastAccessedMs: number;
}

interface Kept {
  readonly name: string;
  /** The record that the password was checked for: another password, or another account of this name, ends the session. */
  readonly password: AccountRecord['password'];
  readonly createdMs: number;
  readonly begunMs: number;
  lastAccessedMs: number;
  usedMs: number;
}

const TOKEN_BYTES = 32;

/** Sessions of accounts that logged in, in memory alone. A token is kept as its digest, and found by that: no look-up compares secrets. */
export class VapiSessions {
  readonly #options: VapiSessionsOptions;
  readonly #dependencies: VapiSessionsDependencies;
  /** The one that was used longest ago comes first. */
  readonly #kept = new Map<string, Kept>();

  constructor(options: VapiSessionsOptions, dependencies: VapiSessionsDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
  }

  get size(): number {
    return this.#kept.size;
  }

  /** The token of a new session, 64 hexadecimal digits. Throws `server-busy`. */
  create({ name, password }: AccountRecord): string {
    const { clock, random } = this.#dependencies;
    this.#expire();
    this.#makeRoom(name);
    const token = randomBytes(random, TOKEN_BYTES).toString('hex');
    const nowMs = clock.monotonicMs();
    const wallMs = clock.wallMs();
    const times = { createdMs: wallMs, begunMs: nowMs, lastAccessedMs: wallMs, usedMs: nowMs };
    this.#kept.set(digestOf(token), { name, password, ...times });
    return token;
  }

  /** The session of a token, and its account as it is now; undefined when there is none any more. */
  find(token: string): VapiSession | undefined {
    this.#expire();
    const digest = digestOf(token);
    const kept = this.#kept.get(digest);
    if (kept === undefined) return undefined;
    this.#kept.delete(digest);
    const account = this.#dependencies.accounts.find(kept.name);
    if (account?.password !== kept.password) return undefined;
    this.#kept.set(digest, kept);
    kept.usedMs = this.#dependencies.clock.monotonicMs();
    kept.lastAccessedMs = this.#dependencies.clock.wallMs();
    return { account, createdMs: kept.createdMs, lastAccessedMs: kept.lastAccessedMs };
  }

  remove(token: string): void {
    this.#kept.delete(digestOf(token));
  }

  #expire(): void {
    const nowMs = this.#dependencies.clock.monotonicMs();
    const { idleSeconds, lifetimeSeconds } = this.#options;
    for (const [digest, { usedMs, begunMs }] of this.#kept) {
      const isIdle = nowMs - usedMs >= idleSeconds * MS_PER_SECOND;
      if (isIdle || nowMs - begunMs >= lifetimeSeconds * MS_PER_SECOND) this.#kept.delete(digest);
    }
  }

  #makeRoom(name: string): void {
    const own = [...this.#kept].filter(([, kept]) => kept.name === name);
    const [oldest] = own;
    if (oldest !== undefined && own.length >= this.#options.maximumPerAccount) this.#kept.delete(oldest[0]);
    if (this.#kept.size >= this.#options.maximum)
      throw new EntropyError('server-busy', `${this.#options.maximum} sessions are open`);
  }
}

function digestOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
