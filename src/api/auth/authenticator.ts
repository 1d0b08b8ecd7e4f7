import type { IncomingMessage } from 'node:http';
import { EntropyError } from '../../base/errors.ts';
import type { Peer } from '../../contract/control-service.ts';
import { ACCESS_RULES, type RouteAccess } from '../../contract/route-access.ts';
import type { TokenRecord, Tokens } from '../../state/tokens.ts';
import { NOBODY, type Peers } from '../peers.ts';
import type { CredentialRefusals } from './credential-refusals.ts';

/** Who asks, and by what right. */
export interface Caller {
  /** For the audit trail, and what he may do by where he connected. */
  readonly peer: Peer;
  /** Undefined for a peer of the control socket, and on open routes. */
  readonly token: TokenRecord | undefined;
}

export interface AuthenticatorDependencies {
  readonly peers: Peers;
  readonly tokens: Pick<Tokens, 'find' | 'isExpired' | 'holds'>;
  readonly refusals: CredentialRefusals;
}

/** Of a credential that is not there yet for the caller to see. */
const WRONG = 'this token is not known';

/**
 * Who may use a route. A request with an Authorization header is judged by its token, wherever it came in; one without by who is behind
 * its connection, and on TCP that is nobody.
 *
 *   access ─ open ──────────────────────────────────────────────► caller
 *     ├─ Authorization: Bearer ── known? expired? scope? ───────► caller   ✗ credential-wrong, token-expired, scope-missing
 *     └─ none ── peer of the control socket? read, change? ─────► caller   ✗ credential-missing, permission-denied
 */
export class Authenticator {
  readonly #dependencies: AuthenticatorDependencies;

  constructor(dependencies: AuthenticatorDependencies) {
    this.#dependencies = dependencies;
  }

  /** Throws what the drawing names; `credential-rate-exceeded` in place of a 401; `state-damaged` when the tokens cannot be read. */
  authorize(request: IncomingMessage, access: RouteAccess): Caller {
    const peer = this.#dependencies.peers.of(request.socket);
    const credential = request.headers.authorization;
    if (access === 'open') return { peer, token: undefined };
    if (credential === undefined) return authorizedPeer(peer, access);
    const address = request.socket.remoteAddress ?? peer.name;
    return authorizedToken(this.#token(credential, address), access, address);
  }

  /** Whether what a caller was let in with still counts, for answers that go on and on. */
  isStillIn({ token }: Caller): boolean {
    return token === undefined || this.#dependencies.tokens.holds(token);
  }

  #token(credential: string, address: string): TokenRecord {
    const { tokens, refusals } = this.#dependencies;
    // Whatever came is looked for as a token: no kind of wrong one takes another time.
    const text = /^Bearer +([\x21-\x7e]+) *$/i.exec(credential)?.[1] ?? '';
    const token = tokens.find(Buffer.from(text, 'latin1'));
    if (token === undefined) throw refusals.ofToken({ code: 'credential-wrong', detail: WRONG, address });
    if (!tokens.isExpired(token)) return token;
    const detail = `the token ${token.name} has expired`;
    throw refusals.ofToken({ code: 'token-expired', detail, address, about: { token: token.name } });
  }
}

function authorizedPeer(peer: Peer, access: RouteAccess): Caller {
  const needed = ACCESS_RULES[access].peer;
  if (peer === NOBODY || needed === 'none')
    throw new EntropyError('credential-missing', `a token is needed here (${wantedOf(access)})`);
  if (peer.access !== 'change' && peer.access !== needed)
    throw new EntropyError('permission-denied', `this peer (${peer.name}) may not ${needed}`);
  return { peer, token: undefined };
}

function authorizedToken(token: TokenRecord, access: RouteAccess, address: string): Caller {
  const { token: needed } = ACCESS_RULES[access];
  const isAllowed = needed === 'any' || (needed !== 'none' && token.scopes.includes(needed));
  if (!isAllowed)
    throw new EntropyError('scope-missing', `the token ${token.name} does not do: ${wantedOf(access)}`);
  return { peer: { name: `token ${token.name} from ${address}`, access: 'none' }, token };
}

function wantedOf(access: RouteAccess): string {
  const { token } = ACCESS_RULES[access];
  if (token === 'none') return 'the control socket alone serves this';
  return token === 'any' ? 'any scope' : `scope ${token}`;
}
