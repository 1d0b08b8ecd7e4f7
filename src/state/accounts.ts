import type { Clock } from '../base/clock.ts';
import { EntropyError } from '../base/errors.ts';
import { ACCOUNT_DESCRIPTION, ACCOUNT_NAME, ACCOUNT_ROLES, type AccountRole } from '../contract/access.ts';
import { isInteger, isObject } from './feeder-record.ts';
import { encodePasswordHash, passwordHashFrom, type PasswordHash } from './password.ts';
import { RecordList } from './record-list.ts';
import type { StateArchive } from './state-archive.ts';
import { feederReferenceFrom, type FeederReference } from './tokens.ts';

export interface AccountRecord {
  readonly name: string;
  readonly description: string;
  readonly role: AccountRole;
  /** Whose entropy it adds; undefined: of the feeder that is called like the account. */
  readonly feeder: FeederReference | undefined;
  readonly createdMs: number;
  readonly password: PasswordHash;
}

/** What is chosen of a new account. */
export type AccountChoice = Pick<AccountRecord, 'description' | 'feeder' | 'password'>;

export const MAXIMUM_ACCOUNTS = 64;
const NAME = new RegExp(ACCOUNT_NAME.pattern);
const PRINTABLE = new RegExp(ACCOUNT_DESCRIPTION.pattern, 'u');

/** Accounts with passwords, for interfaces that log in. */
export class Accounts {
  readonly #list: RecordList<AccountRecord>;
  readonly #clock: Clock;

  constructor(dependencies: { readonly archive: StateArchive; readonly clock: Clock }) {
    this.#clock = dependencies.clock;
    const options = { document: 'accounts.json', version: 1, maximum: MAXIMUM_ACCOUNTS, encode, decode };
    this.#list = new RecordList(options, dependencies);
  }

  /** Why everything is refused; undefined when it is not. */
  get refused(): EntropyError | undefined {
    return this.#list.refused;
  }

  /** In the order of their making. */
  list(): readonly AccountRecord[] {
    return this.#list.records;
  }

  find(name: string): AccountRecord | undefined {
    return this.#list.find(name);
  }

  /** A new account, which may do nothing yet. Throws `account-exists`, `account-limit`, `request-invalid`, `state-unwritable`. */
  add(name: string, choice: AccountChoice): Promise<AccountRecord> {
    const createdMs = this.#clock.wallMs();
    const record: AccountRecord = { name, role: 'NoAccess', createdMs, ...choice };
    return this.#list.change((records) => {
      if (!NAME.test(name))
        throw new EntropyError(
          'request-invalid',
          'an account name has 1 to 64 characters A-Z a-z 0-9 @ . _ -',
        );
      if (records.some((one) => one.name === name))
        throw new EntropyError('account-exists', `there is an account ${name} already`);
      if (records.length >= MAXIMUM_ACCOUNTS)
        throw new EntropyError('account-limit', `there are ${records.length} accounts`);
      return [[...records, record], record];
    });
  }

  /** Throws `account-unknown`, `state-unwritable`. */
  change(name: string, change: Partial<Pick<AccountRecord, 'role' | 'password'>>): Promise<AccountRecord> {
    return this.#list.change((records) => {
      const before = known(records, name);
      const changed = { ...before, ...change };
      return [records.map((one) => (one === before ? changed : one)), changed];
    });
  }

  /** Throws `account-unknown`, `state-unwritable`. */
  remove(name: string): Promise<AccountRecord> {
    return this.#list.change((records) => {
      const removed = known(records, name);
      return [records.filter((one) => one !== removed), removed];
    });
  }

  close(): Promise<void> {
    return this.#list.close();
  }
}

function known(records: readonly AccountRecord[], name: string): AccountRecord {
  const record = records.find((one) => one.name === name);
  if (record === undefined) throw new EntropyError('account-unknown', 'there is no account of this name');
  return record;
}

function encode({ password, ...record }: AccountRecord): object {
  return { ...record, password: encodePasswordHash(password) };
}

function decode(value: unknown): AccountRecord | undefined {
  if (!isObject(value)) return undefined;
  const { name, description, feeder, createdMs } = value;
  const role = ACCOUNT_ROLES.find((one) => one === value.role);
  const password = passwordHashFrom(value.password);
  const reference = feeder === undefined ? undefined : feederReferenceFrom(feeder);
  if (
    typeof name !== 'string' ||
    !NAME.test(name) ||
    typeof description !== 'string' ||
    !PRINTABLE.test(description) ||
    role === undefined ||
    password === undefined ||
    (feeder !== undefined && reference === undefined) ||
    !isInteger(createdMs, 0, Number.MAX_SAFE_INTEGER)
  )
    return undefined;
  return { name, description, role, feeder: reference, createdMs, password };
}
