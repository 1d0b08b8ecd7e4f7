import type { Clock } from './clock.ts';
import type { Counters } from './counters.ts';
import { ENCRYPTION_EVENTS } from './encryption-events.ts';
import { ZEROIZE_EVENTS } from './zeroize-events.ts';
import { event, routine, type EventEntry, type Severity } from './event-entry.ts';
import { RECOVERY_EVENTS } from './recovery-events.ts';

export type { EventEntry, Severity } from './event-entry.ts';

/** The closed table of events. Ids are stable; details are named values and never carry entropy or keys. */
export const EVENTS = {
  'daemon.start': event('info', 'The daemon started; the detail names the version, mask and modes.'),
  'daemon.ready': event('info', 'The self-test passed and the control socket accepts.'),
  'daemon.stop': event('info', 'The daemon stops in order: secrets are wiped.'),
  'daemon.without-addon': event(
    'warning',
    'The native addon is not built: interrupts, RDRAND and RDSEED are unavailable, and core dumps are not forbidden.',
    'Install a C compiler and run `npm ci` again.',
  ),
  'daemon.uncredited': event(
    'notice',
    'The kernel is fed by write(2) and gives no credit: RNDADDENTROPY cannot be used.',
    'Run with CAP_SYS_ADMIN and a built kernel-writer if credit is wanted.',
  ),
  ...ZEROIZE_EVENTS,
  'state.refused': event(
    'alert',
    'The state archive could not be opened; the daemon runs on defaults with its gate closed.',
    'See `entropyctl mixer explain` with the code in the detail.',
  ),
  ...RECOVERY_EVENTS,
  ...ENCRYPTION_EVENTS,
  'config.changed': event(
    'notice',
    'A configuration change became durable and is in force or will be at the next start.',
  ),
  'mask.resolved': event('info', 'The effective source mask was resolved at start.'),
  'account.changed': event(
    'notice',
    'An account was added or removed, or got another password or role; the detail tells by whom.',
  ),
  'credential.refused': event(
    'warning',
    'A wrong token or password was given, or too many were tried; the detail tells from where.',
    'One may be a typing error. More of them: find out who sends them, and revoke what may have leaked.',
  ),
  'token.changed': event('notice', 'A token was created or revoked; the detail tells by whom.'),
  'source.startup': event('info', 'A source began its start-up test.'),
  'source.healthy': event('info', 'A source passed its start-up test and may be credited.'),
  'source.intermittent': event(
    'warning',
    'A health test fired at its intermittent cutoff: the bytes were discarded and the credit voided.',
    'One is a false alarm about once in 2^30 tests; look for more of them.',
  ),
  'source.failed': event(
    'alert',
    'A source failed permanently and is no longer read or credited.',
    'Investigate the hardware, then `entropyctl mixer source restore NAME --reason TEXT`.',
  ),
  'source.stalled': event(
    'warning',
    'A source gave no sample for three times the expected time.',
    'See `entropyctl mixer source list`; others in the mask go on.',
  ),
  'source.unavailable': event(
    'warning',
    'A source in the mask cannot be used on this host; the detail gives the reason.',
  ),
  'source.restored': event('notice', 'An operator put a failed source back to its start-up test.'),
  'entropy.data.received': event('info', 'External entropy arrived: the first, or the first after a loss.'),
  'entropy.data.timeout': event(
    'warning',
    'No external entropy came within external-entropy-lost-timeout; the comment says silent (nobody is there) or dry (there, with room granted, but no bytes).',
    'Look after the feeder that the subject names, and the network to it.',
  ),
  'entropy.watermark.below': event(
    'warning',
    'The memory cache fell below its low watermark and the storage cache could not lift it.',
    'Connect a feeder, or a faster one; `entropyctl mixer external get` tells how long the rest lasts.',
  ),
  'entropy.watermark.above': event('info', 'The memory cache is above its low watermark again.'),
  'entropy.memory.exhausted': event(
    'error',
    'The memory cache of external entropy is empty.',
    'Connect a feeder; see `entropyctl mixer external get`.',
  ),
  'entropy.data.exhausted': event(
    'error',
    'Memory and storage cache of external entropy are empty.',
    'Connect a feeder. With mask 8 alone the gate closes; mask 12 goes on with RDSEED.',
  ),
  'entropy.level.risen': event(
    'info',
    'External entropy is cached again, though less than the low watermark.',
  ),
  'entropy.runway.short': event(
    'warning',
    'At the present draw the cached external entropy lasts less than the hours in the detail.',
    'Connect a feeder, or a faster one.',
  ),
  'entropy.rbg.failure': event(
    'alert',
    'The host could not supply enough entropy for secure random generation; the gate is closed.',
    'The reason is in the detail; see `entropyctl mixer status`.',
  ),
  'cache.damaged': event(
    'error',
    'Part of the storage cache does not open; it is not used, and the rest is kept.',
    'After a crash some open tails are normal; otherwise look at the disk, and at who can write to the state directory.',
  ),
  'cache.record.failed': event(
    'error',
    'What is remembered of the feed (seen payloads, sequence marks) cannot be written: a crash would forget it.',
    'Free space, or make the file system writable; it is tried again by itself.',
  ),
  'cache.resized': event('notice', 'A cache got another size; what fitted was kept.'),
  'cache.storage.failed': event(
    'error',
    'The disk refuses the storage cache; external entropy is kept in memory alone.',
    'Free space, or make the file system writable; it is tried again by itself.',
  ),
  'cache.storage.healed': event('notice', 'The storage cache can be written again.'),
  'feeder.connected': event('notice', 'A feeder proved its key and is connected.'),
  'feeder.disconnected': event('notice', 'The connection of a feeder ended; the detail tells why.'),
  'feeder.duplicate': event(
    'alert',
    'A payload came a second time: a stuck feeder, or two that share a source. It was credited nothing.',
    'Stop the feeder and find out why it repeats itself.',
  ),
  'feeder.enrolment.changed': event(
    'notice',
    'A feeder was enrolled, disabled, enabled, revoked or given another key.',
  ),
  'feeder.refused': event(
    'warning',
    'A feed connection was refused or ended because it broke a rule; the code is in the detail.',
    'See `entropyctl mixer explain` with the code.',
  ),
  'feeder.suspended': event(
    'alert',
    "A feeder's frames keep failing the tests at the door; it is suspended, the others go on.",
    'Examine the device, then `entropyctl mixer feeder enable NAME`.',
  ),
  'gate.open': event('notice', 'Full-entropy blocks can be extracted.'),
  'gate.closed': event(
    'warning',
    'A needed block cannot be extracted; nothing is credited or served.',
    'The reason is in the detail; it reopens by itself.',
  ),
  'gate.overridden': event(
    'alert',
    'An operator overrides the gate: for a time other sources are used than the policy asks for.',
    'Mend what made it necessary, then `entropyctl mixer gate restore`; it ends by itself after the seconds in the detail.',
  ),
  'gate.override.ended': event(
    'notice',
    'The override of the gate ended; the sources of the running mask are used again, unless it was replaced.',
  ),
  'install.applied': event(
    'notice',
    'The state was installed from a kickstart file; the detail names its mask and the size and fingerprint of its seed.',
    'Delete the file: it holds the seed.',
  ),
  'install.file-left': event(
    'warning',
    'An install file is still there. It is not applied again: the state is installed, or is not new.',
    'Delete the file: it may hold a seed.',
  ),
  'install.seed.kept': event(
    'notice',
    'There is an install seed, and bit 8 is not in the mask: the seed is kept and not used.',
    'Add bit 8 to entropySources and restart to use it.',
  ),
  'install.seed.used': event('notice', 'The install seed is used up; nothing of it will be used again.'),
  'kernel.fed': routine('info', 'Bytes were given to the kernel pool; the ledger keeps each feed.'),
  'kernel.feed.waiting': event('notice', 'A kernel feed is due but no full-entropy block is ready.'),
  'kernel.feed.failed': event(
    'error',
    'A kernel feed failed.',
    'The errno is in the detail; it is tried again at the next interval.',
  ),
  'kernel.writer.lost': event('error', 'The kernel-writer process ended; it will be started again.'),
  'ledger.damaged': event(
    'error',
    'The feed ledger did not open; it was set aside as feed-ledger.damaged and a new one begun.',
    'Keep the old file for an investigation; totals count from now.',
  ),
  'ledger.cut': event(
    'notice',
    'An unfinished record was cut off the end of the feed ledger: the last feeds before a crash may be missing.',
  ),
  'ledger.failed': event(
    'error',
    'A feed could not be written to the ledger.',
    'Free disk space; totals go on in memory.',
  ),
  'selftest.passed': event('info', 'The mixer self-test passed.'),
  'selftest.failed': event(
    'alert',
    'The mixer self-test failed; the mixer is wiped.',
    'Restart; distrust the host if it recurs.',
  ),
  'tls.certificate.loaded': event(
    'notice',
    'The listener presents this certificate from now on; open connections go on as they are.',
  ),
  'tls.certificate.kept': event(
    'error',
    'The TLS files that were read again cannot be used: the listener goes on with those it had.',
    'Mend what the code and detail name, then send SIGHUP again.',
  ),
  'tls.certificate.expiring': event(
    'warning',
    "The listener's certificate expires within the days in the detail, or has: clients will refuse it.",
    'Renew it, then send SIGHUP to the daemon.',
  ),
  'host.resumed': event('notice', 'The host was suspended; sources run their start-up tests again.'),
  'engine.failed': event(
    'alert',
    'The engine ended unexpectedly; the daemon stops.',
    'See the log; report it.',
  ),
} as const satisfies Record<string, EventEntry>;

export type EventId = keyof typeof EVENTS;
export type EventDetail = Readonly<Record<string, string | number | boolean>>;

export interface EventRecord {
  /** Position on the bus, from 1, without gaps. */
  readonly sequence: number;
  readonly id: EventId;
  readonly severity: Severity;
  /** Milliseconds since 1970-01-01 UTC. */
  readonly atMs: number;
  readonly detail: EventDetail;
}

/** Where the lower layers tell what happened; they know nothing of who listens. */
export interface EventSink {
  emit(id: EventId, detail?: EventDetail): void;
}

export interface EventBusOptions {
  /** How many past events are kept for readers. */
  readonly capacity: number;
}

/** The one bus: numbers events, keeps the last of them, and hands each to every subscriber in order. */
export class EventBus implements EventSink {
  readonly #capacity: number;
  readonly #clock: Clock;
  readonly #counters: Counters;
  readonly #kept: EventRecord[] = [];
  readonly #subscribers = new Set<(record: EventRecord) => void>();
  #sequence = 0;
  /** Sequence of the newest event that was forgotten and was not routine. */
  #forgotten = 0;

  constructor(
    options: EventBusOptions,
    dependencies: { readonly clock: Clock; readonly counters: Counters },
  ) {
    this.#capacity = options.capacity;
    this.#clock = dependencies.clock;
    this.#counters = dependencies.counters;
  }

  emit(id: EventId, detail: EventDetail = {}): void {
    const record = {
      sequence: ++this.#sequence,
      id,
      severity: EVENTS[id].severity,
      atMs: this.#clock.wallMs(),
      detail,
    };
    this.#kept.push(record);
    if (this.#kept.length > this.#capacity) this.#forgetOne();
    for (const deliver of this.#subscribers) this.#deliver(deliver, record);
  }

  /**
   * Kept events after the given sequence, oldest first. From `oldest` on none is missing but routine ones, so a reader who saw all
   * before it has missed nothing else.
   */
  since(sequence: number): {
    readonly oldest: number;
    readonly latest: number;
    readonly records: EventRecord[];
  } {
    return {
      oldest: this.#forgotten + 1,
      latest: this.#sequence,
      records: this.#kept.filter((record) => record.sequence > sequence),
    };
  }

  /** Calls deliver for each event from now on; returns what ends it. */
  subscribe(deliver: (record: EventRecord) => void): () => void {
    this.#subscribers.add(deliver);
    return () => this.#subscribers.delete(deliver);
  }

  /** The oldest routine event goes first: no number of feeds pushes out the failure of a source. */
  #forgetOne(): void {
    const at = this.#kept.findIndex(({ id }) => EVENTS[id].routine);
    const [forgotten] = this.#kept.splice(Math.max(0, at), 1);
    if (at < 0 && forgotten !== undefined) this.#forgotten = forgotten.sequence;
  }

  /** A subscriber that throws loses the event; whoever emitted it must not suffer for that. */
  #deliver(deliver: (record: EventRecord) => void, record: EventRecord): void {
    try {
      deliver(record);
    } catch {
      this.#counters.add('events.dropped');
    }
  }
}
