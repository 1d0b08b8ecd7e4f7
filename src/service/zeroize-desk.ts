import type { EventSink } from '../base/events.ts';
import type { Peer } from '../contract/control-service.ts';
import type { ZeroizeControl, ZeroizeReport } from '../contract/zeroize.ts';
import type { EngineClient } from '../engine/engine-client.ts';
import type { StateArchive } from '../state/state-archive.ts';

export interface ZeroizeDeskDependencies {
  readonly engine: Pick<EngineClient, 'stop'>;
  readonly archive: StateArchive;
  readonly events: EventSink;
  /** @throws EntropyError zeroize-unconfirmed */
  readonly confirm: (hostName: string) => void;
  readonly destroy: (archive: { readonly isSealed: boolean }) => Promise<ZeroizeReport>;
  /** The answer is sent: the process is to end now, without writing anything. */
  readonly onEnd: () => void;
}

/**
 * Destroys the state of a running daemon, and ends it. First the engine: sources end, mixer and memory cache are wiped, the gate is
 * closed for good. Then the archive lets go of its key. What happened is told to the log, since no store outlives it.
 */
export class ZeroizeDesk implements ZeroizeControl {
  readonly #dependencies: ZeroizeDeskDependencies;
  #running: Promise<ZeroizeReport> | undefined;

  constructor(dependencies: ZeroizeDeskDependencies) {
    this.#dependencies = dependencies;
  }

  async zeroize(hostName: string, peer: Peer): Promise<ZeroizeReport> {
    this.#dependencies.confirm(hostName);
    this.#running ??= this.#zeroize(peer);
    return this.#running;
  }

  end(): void {
    this.#dependencies.onEnd();
  }

  async #zeroize(peer: Peer): Promise<ZeroizeReport> {
    const { engine, archive, events, destroy } = this.#dependencies;
    events.emit('state.zeroize.begun', { by: peer.name });
    const isSealed = archive.mode === 'TPM';
    // An engine that does not answer must not keep the keys alive.
    await engine.stop().catch(() => undefined);
    await archive.close();
    const report = await destroy({ isSealed });
    for (const { part, outcome, because } of report.parts)
      if (outcome === 'failed') events.emit('state.zeroize.failed', { part, because });
    const destroyed = report.parts.filter(({ outcome }) => outcome === 'destroyed').map(({ part }) => part);
    events.emit('state.zeroized', {
      by: peer.name,
      complete: report.complete,
      destroyed: destroyed.join(', '),
    });
    return report;
  }
}
