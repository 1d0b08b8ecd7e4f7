import type { ErrorCode } from '../base/errors.ts';
import type { TokenScope } from './access.ts';
import type { PeerAccess } from './control-service.ts';

/** Who may use a route: holders of a token by its scopes, peers of the control socket by their credentials. */

export interface AccessRule {
  /** `any`: every token that holds; `none`: no token, whatever its scopes. */
  readonly token: TokenScope | 'any' | 'none';
  /** `none`: no peer without a token. */
  readonly peer: PeerAccess;
}

/**
 * What a row of the table of routes may ask for. `open` asks nothing, and no credential is looked at. What makes keys, tokens and
 * accounts is `local`: no token makes another.
 */
export const ACCESS_RULES = {
  open: { token: 'any', peer: 'none' },
  known: { token: 'any', peer: 'read' },
  observe: { token: 'observe', peer: 'read' },
  'external.read': { token: 'external.read', peer: 'read' },
  'external.write': { token: 'external.write', peer: 'none' },
  random: { token: 'random', peer: 'read' },
  config: { token: 'config', peer: 'change' },
  'local-read': { token: 'none', peer: 'read' },
  'local-change': { token: 'none', peer: 'change' },
} as const satisfies Record<string, AccessRule>;

export type RouteAccess = keyof typeof ACCESS_RULES;

/** What a route may answer to whoever may not use it. */
export function accessErrors(access: RouteAccess): readonly ErrorCode[] {
  return access === 'open'
    ? []
    : [
        'credential-missing',
        'credential-wrong',
        'token-expired',
        'scope-missing',
        'credential-rate-exceeded',
      ];
}
