import { EntropyError } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import type { AccessService } from '../contract/access-service.ts';
import {
  scopesOf,
  type AccountReport,
  type AccountRole,
  type AccountTerms,
  type TokenReport,
  type TokenTerms,
} from '../contract/access.ts';
import type { Peer } from '../contract/control-service.ts';
import type { AccountRecord, Accounts } from '../state/accounts.ts';
import type { Enrolment } from '../state/enrolment.ts';
import type { PasswordHasher } from '../state/password.ts';
import type { FeederReference, TokenRecord, Tokens } from '../state/tokens.ts';

export interface AccessRegistryDependencies {
  readonly tokens: Tokens;
  readonly accounts: Accounts;
  readonly passwords: PasswordHasher;
  readonly enrolment: Enrolment;
  readonly events: EventSink;
}

/** What operators do with tokens and accounts. Each change is durable, then told. */
export class AccessRegistry implements AccessService {
  readonly #dependencies: AccessRegistryDependencies;

  constructor(dependencies: AccessRegistryDependencies) {
    this.#dependencies = dependencies;
  }

  tokens(): TokenReport[] {
    return this.#dependencies.tokens.list().map((record) => this.#tokenReport(record));
  }

  /** Throws `token-exists`, `token-limit`, `feeder-unknown`, `request-invalid`, `state-unwritable`. */
  async createToken(name: string, terms: TokenTerms, peer: Peer): Promise<Uint8Array> {
    const { record, text } = await this.#dependencies.tokens.create(name, {
      scopes: scopesOf(terms.scope),
      expiresSeconds: terms.expiresSeconds,
      feeder: this.#feeder(terms.feeder),
    });
    this.#tellToken('created', record, peer);
    return text;
  }

  /** Throws `token-unknown`, `state-unwritable`. */
  async revokeToken(name: string, peer: Peer): Promise<TokenReport> {
    const record = await this.#dependencies.tokens.revoke(name);
    this.#tellToken('revoked', record, peer);
    return this.#tokenReport(record);
  }

  accounts(): AccountReport[] {
    return this.#dependencies.accounts.list().map(accountReport);
  }

  /** Throws `account-exists`, `account-limit`, `feeder-unknown`, `request-invalid`, `credential-busy`, `state-unwritable`. */
  async addAccount(
    name: string,
    { description = '', feeder }: AccountTerms,
    password: Uint8Array,
    peer: Peer,
  ): Promise<AccountReport> {
    const { accounts, passwords } = this.#dependencies;
    if (accounts.find(name) !== undefined)
      throw new EntropyError('account-exists', `there is an account ${name} already`);
    const choice = {
      description,
      feeder: this.#feeder(feeder),
      password: await passwords.hash(password),
    };
    return this.#told('added', await accounts.add(name, choice), peer);
  }

  /** Throws `account-unknown`, `request-invalid`, `credential-busy`, `state-unwritable`. */
  async setPassword(name: string, password: Uint8Array, peer: Peer): Promise<AccountReport> {
    const { accounts, passwords } = this.#dependencies;
    const hash = await passwords.hash(password);
    return this.#told('given another password', await accounts.change(name, { password: hash }), peer);
  }

  /** Throws `account-unknown`, `state-unwritable`. */
  async setRole(name: string, role: AccountRole, peer: Peer): Promise<AccountReport> {
    const record = await this.#dependencies.accounts.change(name, { role });
    return this.#told('given a role', record, peer);
  }

  /** Throws `account-unknown`, `state-unwritable`. */
  async removeAccount(name: string, peer: Peer): Promise<AccountReport> {
    return this.#told('removed', await this.#dependencies.accounts.remove(name), peer);
  }

  #feeder(name: string | undefined): FeederReference | undefined {
    return name === undefined ? undefined : referenceTo(this.#dependencies.enrolment.named(name));
  }

  #tokenReport(record: TokenRecord): TokenReport {
    const { tokens } = this.#dependencies;
    return {
      name: record.name,
      scopes: [...record.scopes],
      feeder: record.feeder?.name ?? '',
      createdMs: record.createdMs,
      expiresMs: record.expiresMs ?? null,
      expired: tokens.isExpired(record),
      lastUsedMs: tokens.lastUsedMs(record.name),
    };
  }

  #tellToken(change: string, { name, scopes, feeder }: TokenRecord, peer: Peer): void {
    this.#dependencies.events.emit('token.changed', {
      token: name,
      change,
      scopes: scopes.join(','),
      ...(feeder === undefined ? {} : { feeder: feeder.name }),
      by: peer.name,
    });
  }

  #told(change: string, record: AccountRecord, peer: Peer): AccountReport {
    const { name: account, role } = record;
    this.#dependencies.events.emit('account.changed', { account, change, role, by: peer.name });
    return accountReport(record);
  }
}

function referenceTo({ id, name }: FeederReference): FeederReference {
  return { id, name };
}

function accountReport({ name, description, role, feeder, createdMs }: AccountRecord): AccountReport {
  return { name, description, role, feeder: feeder?.name ?? '', createdMs };
}
