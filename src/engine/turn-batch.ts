import type { Clock } from '../base/clock.ts';

export interface TurnBatchDependencies<Message> {
  readonly clock: Clock;
  /** Gets all messages of a turn in their order, and the buffers to move with them. */
  readonly post: (messages: readonly Message[], transfer: readonly ArrayBuffer[]) => void;
}

/**
 * Messages to another thread, gathered over one turn of the event loop and posted as one: waking the other side costs more than most
 * messages do. Whatever else that turn brings comes no later for it.
 */
export class TurnBatch<Message> {
  readonly #dependencies: TurnBatchDependencies<Message>;
  #messages: Message[] = [];
  #transfer: ArrayBuffer[] = [];

  constructor(dependencies: TurnBatchDependencies<Message>) {
    this.#dependencies = dependencies;
  }

  add(message: Message, transfer: readonly ArrayBuffer[] = []): void {
    if (this.#messages.length === 0) this.#dependencies.clock.afterTurn(() => this.flush());
    this.#messages.push(message);
    this.#transfer.push(...transfer);
  }

  /** Posts at once what has been gathered. */
  flush(): void {
    if (this.#messages.length === 0) return;
    const [messages, transfer] = [this.#messages, this.#transfer];
    this.#messages = [];
    this.#transfer = [];
    this.#dependencies.post(messages, transfer);
  }
}
