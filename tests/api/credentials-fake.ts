import { CREDENTIAL_LIMITS, CredentialRefusals } from '../../src/api/auth/credential-refusals.ts';
import type { AuthenticatorDependencies } from '../../src/api/auth/authenticator.ts';
import { HttpInterface } from '../../src/api/http-interface.ts';
import type { Clock } from '../../src/base/clock.ts';
import type { Counters } from '../../src/base/counters.ts';
import { EventBus } from '../../src/base/events.ts';
import type { TokenScope } from '../../src/contract/access.ts';
import type { FeederReference, TokenRecord } from '../../src/state/tokens.ts';
import { FakeControlService, silentLog } from './fake-control-service.ts';

/** Tokens that tests write down: the name of a known token is its text. */
export class FakeTokens {
  readonly known = new Map<string, TokenRecord>();
  readonly expired = new Set<string>();

  add(name: string, scopes: readonly TokenScope[], feeder?: FeederReference): void {
    this.known.set(name, {
      name,
      scopes,
      feeder,
      createdMs: 0,
      expiresMs: undefined,
      digest: Buffer.alloc(32),
    });
  }

  find(text: Uint8Array): TokenRecord | undefined {
    return this.known.get(Buffer.from(text).toString('latin1'));
  }

  holds(record: TokenRecord): boolean {
    return this.known.get(record.name) === record && !this.isExpired(record);
  }

  isExpired({ name }: TokenRecord): boolean {
    return this.expired.has(name);
  }
}

export interface FakeCredentials extends Omit<AuthenticatorDependencies, 'peers'> {
  readonly tokens: FakeTokens;
  readonly events: EventBus;
}

export function fakeCredentials(clock: Clock, counters: Counters): FakeCredentials {
  const events = new EventBus({ capacity: 100 }, { clock, counters });
  const refusals = new CredentialRefusals(CREDENTIAL_LIMITS, { events, counters, clock });
  return { tokens: new FakeTokens(), refusals, events };
}

/** The routes over a fake service, with tokens that nobody has. */
export function fakeRoutes(clock: Clock, counters: Counters): Promise<HttpInterface> {
  const service = new FakeControlService();
  const dependencies = { service, clock, counters, log: silentLog, ...fakeCredentials(clock, counters) };
  return HttpInterface.open({ openApiFile: undefined }, dependencies);
}
