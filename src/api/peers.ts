import type { Socket } from 'node:net';
import { EntropyError } from '../base/errors.ts';
import type { Peer } from '../contract/control-service.ts';
import type { RouteAccess } from '../contract/route.ts';

const NOBODY: Peer = { name: 'unknown peer', access: 'none' };

/**
 * Who stands behind each connection. A listener introduces its connections once, when it accepts them; whoever was
 * not introduced is nobody, so that a forgotten listener fails closed.
 */
export class Peers {
  readonly #peers = new WeakMap<Socket, Peer>();

  introduce(socket: Socket, peer: Peer): void {
    this.#peers.set(socket, peer);
  }

  of(socket: Socket): Peer {
    return this.#peers.get(socket) ?? NOBODY;
  }
}

/** Throws `permission-denied` unless the peer may use a route of this access. */
export function requireAccess(peer: Peer, access: RouteAccess): void {
  const allowed = access === 'open' || peer.access === 'change' || peer.access === access;
  if (!allowed) throw new EntropyError('permission-denied', `this peer (${peer.name}) may not ${access}`);
}
