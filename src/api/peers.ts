import type { Socket } from 'node:net';
import type { Peer } from '../contract/control-service.ts';

/** Behind a connection that no listener introduced. */
export const NOBODY: Peer = { name: 'unknown peer', access: 'none' };

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
