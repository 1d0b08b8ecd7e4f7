import { EntropyError } from '../../src/base/errors.ts';
import type { AccessService } from '../../src/contract/access-service.ts';
import {
  scopesOf,
  type AccountReport,
  type AccountRole,
  type AccountTerms,
  type TokenReport,
  type TokenTerms,
} from '../../src/contract/access.ts';
import type { Peer } from '../../src/contract/control-service.ts';

const NOW_MS = Date.UTC(2026, 0, 2, 3, 4, 5);
const DAY_MS = 86_400_000;

export function sampleTokens(): TokenReport[] {
  return [
    {
      name: 'dashboard',
      scopes: ['observe', 'external.read'],
      feeder: '',
      createdMs: NOW_MS - 10 * DAY_MS,
      expiresMs: NOW_MS + 80 * DAY_MS,
      expired: false,
      lastUsedMs: NOW_MS - 4_000,
    },
    {
      name: 'hsm-1.rest',
      scopes: ['external.write'],
      feeder: 'hsm-1',
      createdMs: NOW_MS - 2 * DAY_MS,
      expiresMs: null,
      expired: false,
      lastUsedMs: null,
    },
  ];
}

export function sampleAccounts(): AccountReport[] {
  return [
    {
      name: 'svc@lab.example',
      description: 'Monitoring',
      role: 'ReadOnly',
      feeder: '',
      createdMs: NOW_MS - DAY_MS,
    },
    { name: 'hsm-1', description: '', role: 'Admin', feeder: 'hsm-1', createdMs: NOW_MS - DAY_MS },
  ];
}

/** Told of each call to a part of the fake service; gives what it answers, or fails it. */
export type Note = <T>(name: string, given: readonly unknown[], answer: () => T) => T;

/** The part of the fake service that deals with tokens and accounts; `note` is told of each call, and fails it when a test wants that. */
export class FakeAccessService implements AccessService {
  sampleTokens = sampleTokens();
  sampleAccounts = sampleAccounts();
  /** Passwords that came, and the buffers they came in. */
  readonly passwords: { readonly copy: Uint8Array; readonly given: Uint8Array }[] = [];
  readonly #note: Note;
  readonly #answered: Uint8Array[];

  constructor(note: Note, answered: Uint8Array[]) {
    this.#note = note;
    this.#answered = answered;
  }

  tokens(): TokenReport[] {
    return this.#note('tokens', [], () => this.sampleTokens);
  }

  createToken(name: string, terms: TokenTerms, peer: Peer): Promise<Uint8Array> {
    return this.#later('createToken', [name, terms, peer], () => {
      if (this.sampleTokens.some((token) => token.name === name))
        throw new EntropyError('token-exists', `there is a token ${name} already`);
      const scopes = scopesOf(terms.scope);
      const text = Buffer.from(`emt_${scopes.length}${'A'.repeat(42)}\n`);
      this.#answered.push(text);
      return text;
    });
  }

  revokeToken(name: string, peer: Peer): Promise<TokenReport> {
    return this.#later('revokeToken', [name, peer], () => {
      const token = this.sampleTokens.find((one) => one.name === name);
      if (token === undefined) throw new EntropyError('token-unknown', 'there is no token of this name');
      return token;
    });
  }

  accounts(): AccountReport[] {
    return this.#note('accounts', [], () => this.sampleAccounts);
  }

  addAccount(name: string, terms: AccountTerms, password: Uint8Array, peer: Peer): Promise<AccountReport> {
    this.passwords.push({ copy: Uint8Array.from(password), given: password });
    return this.#later('addAccount', [name, terms, peer], () => ({
      name,
      description: terms.description ?? '',
      role: 'NoAccess' as const,
      feeder: terms.feeder ?? '',
      createdMs: NOW_MS,
    }));
  }

  setPassword(name: string, password: Uint8Array, peer: Peer): Promise<AccountReport> {
    this.passwords.push({ copy: Uint8Array.from(password), given: password });
    return this.#later('setPassword', [name, peer], () => this.#account(name));
  }

  setRole(name: string, role: AccountRole, peer: Peer): Promise<AccountReport> {
    return this.#later('setRole', [name, role, peer], () => ({ ...this.#account(name), role }));
  }

  removeAccount(name: string, peer: Peer): Promise<AccountReport> {
    return this.#later('removeAccount', [name, peer], () => this.#account(name));
  }

  #account(name: string): AccountReport {
    const account = this.sampleAccounts.find((one) => one.name === name);
    if (account === undefined) throw new EntropyError('account-unknown', 'there is no account of this name');
    return account;
  }

  #later<T>(name: string, given: readonly unknown[], answer: () => T): Promise<T> {
    return new Promise((resolve) => resolve(this.#note(name, given, answer)));
  }
}
