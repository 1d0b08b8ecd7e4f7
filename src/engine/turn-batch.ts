import type { Clock } from '../base/clock.ts';
import { KIB } from '../base/units.ts';

export interface TurnBatchDependencies<Message> {
  readonly clock: Clock;
  /** Gets all messages of a turn in their order, and the buffers to move with them. */
  readonly post: (messages: readonly Message[], transfer: readonly ArrayBuffer[]) => void;
}

export interface BatchEntry<Message> {
  readonly message: Message;
  /** Buffers that move with it. */
  readonly transfer?: readonly ArrayBuffer[];
  /** What the other side has to go through for it. */
  readonly workBytes?: number;
}

/** Work that keeps another thread busy for longer than it takes to wake it. */
const WORK_BYTES = 256 * KIB;

/**
 * Messages to another thread, gathered over one turn of the event loop and posted as one: waking the other side costs more than most
 * messages do. Whatever else that turn brings comes no later for it. A turn that brings much work posts it in parts, so that the other side
 * begins with the first while this one still gathers.
 */
export class TurnBatch<Message> {
  readonly #dependencies: TurnBatchDependencies<Message>;
  #messages: Message[] = [];
  #transfer: ArrayBuffer[] = [];
  #workBytes = 0;

  constructor(dependencies: TurnBatchDependencies<Message>) {
    this.#dependencies = dependencies;
  }

  add({ message, transfer = [], workBytes = 0 }: BatchEntry<Message>): void {
    if (this.#messages.length === 0) this.#dependencies.clock.afterTurn(() => this.flush());
    this.#messages.push(message);
    this.#transfer.push(...transfer);
    this.#workBytes += workBytes;
    if (this.#workBytes >= WORK_BYTES) this.flush();
  }

  /** Posts at once what has been gathered. */
  flush(): void {
    if (this.#messages.length === 0) return;
    const [messages, transfer] = [this.#messages, this.#transfer];
    this.#messages = [];
    this.#transfer = [];
    this.#workBytes = 0;
    this.#dependencies.post(messages, transfer);
  }
}
