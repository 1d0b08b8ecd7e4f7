import { secretBytes, wipe } from '../../base/bytes.ts';
import type { AccountRecord, Accounts } from '../../state/accounts.ts';
import type { PasswordHasher } from '../../state/password.ts';
import { ACCOUNT_NAME } from '../../contract/access.ts';
import type { CredentialRefusals } from './credential-refusals.ts';

/** RFC 7617: a name, and the bytes of a password, which whoever has them wipes. */
export interface BasicCredentials {
  readonly name: string;
  readonly password: Buffer;
}

export interface PasswordCheckDependencies {
  readonly accounts: Accounts;
  readonly passwords: Pick<PasswordHasher, 'matches'>;
  readonly refusals: CredentialRefusals;
}

const NAME = new RegExp(ACCOUNT_NAME.pattern);

/** Checks the passwords of accounts: a try of an address at a time so many, unknown names as long as wrong passwords. */
export class PasswordCheck {
  readonly #dependencies: PasswordCheckDependencies;

  constructor(dependencies: PasswordCheckDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * The account of these credentials; its role is for the caller to look at. Wipes the password.
   * Throws `credential-wrong`, `credential-rate-exceeded`, `credential-busy`; the error in `refused` when the accounts cannot be read.
   */
  async account({ name, password }: BasicCredentials, address: string): Promise<AccountRecord> {
    const { accounts, passwords, refusals } = this.#dependencies;
    try {
      if (accounts.refused !== undefined) throw accounts.refused;
      refusals.beforeTrying(address);
      const account = accounts.find(name);
      const isRight = await passwords.matches(password, account?.password);
      // It may have been removed, or given another password, while this one was hashed.
      const now = accounts.find(name);
      if (isRight && now !== undefined && now.password === account?.password) {
        refusals.wasRight(address);
        return now;
      }
    } finally {
      wipe(password);
    }
    const about = NAME.test(name) ? { account: name } : {};
    const detail = 'account or password is wrong';
    throw refusals.ofPassword({ code: 'credential-wrong', detail, address, about });
  }
}

/** Of an Authorization header; undefined when it is no Basic one. */
export function basicCredentials(header: string | undefined): BasicCredentials | undefined {
  const encoded = /^Basic +([A-Za-z0-9+/]+={0,2}) *$/i.exec(header ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const bytes = secretBytes(encoded.length);
  const decoded = bytes.subarray(0, bytes.write(encoded, 'base64'));
  const colon = decoded.indexOf(':');
  if (colon < 0) {
    wipe(bytes);
    return undefined;
  }
  const password = secretBytes(decoded.length - colon - 1);
  decoded.copy(password, 0, colon + 1);
  const name = decoded.toString('utf8', 0, colon);
  wipe(bytes);
  return { name, password };
}
