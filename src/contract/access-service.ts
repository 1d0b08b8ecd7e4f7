import type { AccountReport, AccountRole, AccountTerms, TokenReport, TokenTerms } from './access.ts';
import type { Peer } from './control-service.ts';

/** What operators do with tokens and accounts. Each change is durable when it resolves, and recorded with who made it. */
export interface AccessService {
  /** In the order of their making. */
  tokens(): TokenReport[];
  /** Answers the token as a line of text, the only time that it can be had; whoever gets it wipes it. */
  createToken(name: string, terms: TokenTerms, peer: Peer): Promise<Uint8Array>;
  /** Answers what the token was. */
  revokeToken(name: string, peer: Peer): Promise<TokenReport>;
  accounts(): AccountReport[];
  /** Adds an account with the role NoAccess. The password is wiped by whoever gave it. */
  addAccount(name: string, terms: AccountTerms, password: Uint8Array, peer: Peer): Promise<AccountReport>;
  setPassword(name: string, password: Uint8Array, peer: Peer): Promise<AccountReport>;
  setRole(name: string, role: AccountRole, peer: Peer): Promise<AccountReport>;
  /** Answers what the account was. */
  removeAccount(name: string, peer: Peer): Promise<AccountReport>;
}
