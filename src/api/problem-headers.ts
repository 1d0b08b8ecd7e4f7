import type { EntropyError } from '../base/errors.ts';

/** Nothing better is known of a limit that gives no time of its own. */
const RETRY_AFTER_SECONDS = 1;

/** What an error says in headers beside its problem: when to come again (RFC 9110, 10.2.3), and how to say who one is (11.6.1). */
export function problemHeaders({ code, entry, members }: EntropyError): Readonly<Record<string, string>> {
  const { retryAfterSeconds } = members;
  if (entry.http === 401) {
    const error = code === 'credential-missing' ? '' : ', error="invalid_token"';
    return { 'www-authenticate': `Bearer realm="entropy-mixer"${error}` };
  }
  if (entry.http !== 429 && retryAfterSeconds === undefined) return {};
  return { 'retry-after': String(retryAfterSeconds ?? RETRY_AFTER_SECONDS) };
}
