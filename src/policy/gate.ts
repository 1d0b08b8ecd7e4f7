import type { Clock } from '../base/clock.ts';
import type { EventSink } from '../base/events.ts';
import type { GateReason } from '../base/names.ts';
import type { OverrideReport } from './override.ts';

/** What an operator should do about a closed gate, by its reason. */
const WHAT_TO_DO: Record<GateReason, string> = {
  warming: 'Wait: start-up tests are running.',
  'credit-starved':
    'Wait, or add a faster source to entropySources; `entropyctl mixer source list` shows the time to a block.',
  exhausted: 'Connect a feeder: no external entropy is cached. It opens again when eight blocks can be made.',
  failed:
    'See `entropyctl mixer status` for what failed; restore a source with `entropyctl mixer source restore`.',
  'no-source': 'Set entropySources to a mask with a source this host has, and restart.',
};

const END_THE_OVERRIDE =
  'Blocks are not made as the policy asks: mend what made the override necessary, then `entropyctl mixer gate restore`.';

export interface GateState {
  /** `overridden`: open, by the sources of an override. */
  readonly state: 'open' | 'closed' | 'overridden';
  readonly reason: GateReason | null;
  /** Wall-clock milliseconds of the last change. */
  readonly sinceMs: number;
  readonly whatToDo: string;
  readonly override: OverrideReport | null;
}

/**
 * Whether full-entropy blocks can be had. Closed at start (`warming`); opens with the first block; closes, with its reason, when a
 * needed block cannot be extracted; reopens by itself with the next one. A held gate stays closed whatever the sources give: the
 * mixer failed its self-test, or the state was refused.
 */
export class Gate {
  readonly #clock: Clock;
  readonly #events: EventSink;
  #reason: GateReason | null = 'warming';
  #held = false;
  #override: OverrideReport | null = null;
  #sinceMs: number;

  constructor(dependencies: { readonly clock: Clock; readonly events: EventSink }) {
    this.#clock = dependencies.clock;
    this.#events = dependencies.events;
    this.#sinceMs = dependencies.clock.wallMs();
  }

  /** Asked before every extraction, for whatever use: false only while the gate is held closed. */
  mayExtract(): boolean {
    return !this.#held;
  }

  get open(): boolean {
    return this.#reason === null;
  }

  /** A block was extracted, or can be. */
  extracted(): void {
    if (this.#held || this.#reason === null) return;
    this.#reason = null;
    this.#sinceMs = this.#clock.wallMs();
    this.#events.emit('gate.open');
  }

  /** A needed block could not be extracted. */
  missed(reason: GateReason): void {
    if (!this.#held) this.#close(reason);
  }

  /** Closes until the process ends, with `failed`; because says why, for the event. */
  hold(because: string): void {
    if (this.#held) return;
    this.#held = true;
    // Told even when the gate was closed as failed already: why it stays so is new.
    if (this.#reason === 'failed') this.#events.emit('gate.closed', { reason: 'failed', because });
    else this.#close('failed', because);
  }

  /** An override came into force or, with null, ended. Whether blocks can be had then, the next draw tells. */
  override(override: OverrideReport | null): void {
    if (this.#override === null && override === null) return;
    this.#override = override;
    if (this.open) this.#sinceMs = this.#clock.wallMs();
  }

  state(): GateState {
    const override = this.#override;
    const opened = override === null ? 'open' : 'overridden';
    const toDo = override === null ? '' : END_THE_OVERRIDE;
    return {
      state: this.open ? opened : 'closed',
      reason: this.#reason,
      sinceMs: this.#sinceMs,
      whatToDo: this.#reason === null ? toDo : WHAT_TO_DO[this.#reason],
      override,
    };
  }

  #close(reason: GateReason, because = ''): void {
    if (this.#reason === reason) return;
    // Between two reasons the gate was closed all along: `since` keeps the moment it closed.
    if (this.#reason === null) this.#sinceMs = this.#clock.wallMs();
    this.#reason = reason;
    this.#events.emit('gate.closed', because === '' ? { reason } : { reason, because });
    // While it warms up the host has not failed to supply anything yet.
    if (reason !== 'warming') this.#events.emit('entropy.rbg.failure', { reason });
  }
}
