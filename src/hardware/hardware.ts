/**
 * What the host's hardware and kernel give, as the rest of the program sees it. With the native addon everything here
 * works; without it (see without-addon.ts) each part says that it is missing, and nothing is imitated.
 */
export interface Hardware {
  /** True when the native addon is loaded. */
  readonly addon: boolean;
  /** Why there is no addon; empty when there is one. */
  readonly absence: string;
  readonly cpu: CpuReport;
  /**
   * Fills from RDRAND, 64 bits at a time. Short or faulty when `fault` is not `none`; never throws for what the CPU does.
   * @throws RangeError when the length is not a multiple of 8, or is over FILL_LIMIT_BYTES.
   */
  rdrand(target: Uint8Array): FillResult;
  /** The same from RDSEED. The call blocks for about 0.12 ms per KiB: keep it off the thread that answers requests. */
  rdseed(target: Uint8Array): FillResult;
  /** undefined without the addon. */
  readonly interrupts: InterruptCollector | undefined;
  /** Fills with getrandom(2), flags 0: waits until the kernel's pool is initialised, once per boot. */
  random(target: Uint8Array): void;
  /** Takes flock(LOCK_EX | LOCK_NB) on an open file: false when another holds it, undefined when there is no addon. */
  lockFile(fd: number): boolean | undefined;
  /** SO_PEERCRED of a connected Unix socket; undefined when there is no addon, or fd is not such a socket. */
  peerCredentials(fd: number): PeerCredentials | undefined;
  /** Sends one sd_notify(3) message to $NOTIFY_SOCKET: false when there is none or it does not take the message. */
  notify(message: string): boolean;
  /** mlock(2) on whole pages around the bytes: false when it is refused (RLIMIT_MEMLOCK) or there is no addon. */
  lockMemory(bytes: Uint8Array): boolean;
  /**
   * For programs that hold secrets, first of all: no core dump and no ptrace by the same user (PR_SET_DUMPABLE, RLIMIT_CORE), and the
   * allocator overwrites what is given back to it (native/system.c says what stays). False where not all of it could be had.
   */
  guardMemory(): boolean;
  /** undefined without the addon. */
  readonly uevents: UeventSocket | undefined;
}

/** Longest single fill, in bytes: 8 ms of RDSEED at the pace measured on an AMD EPYC. */
export const FILL_LIMIT_BYTES = 65_536;

/**
 * `unavailable`: this CPU, or this host without the addon, has no such instruction.
 * `underflow`: the carry flag stayed clear through all retries (10 for RDRAND, 1,024 for RDSEED).
 * `stuck-word`: an all-zero or all-one word was followed by another (standards: AMD-SB-7055, Zen 2 launch microcode).
 */
export type FillFault = 'none' | 'unavailable' | 'underflow' | 'stuck-word';

export interface FillResult {
  /** Bytes of the target that were filled before the fault; the rest is zero. A multiple of 8. */
  readonly bytes: number;
  readonly fault: FillFault;
}

export interface CpuReport {
  /** As process.arch names it. */
  readonly architecture: string;
  /** CPUID vendor string, such as `AuthenticAMD`; empty when unknown. */
  readonly vendor: string;
  /** Display family, model and stepping; 0 when unknown. */
  readonly family: number;
  readonly model: number;
  readonly stepping: number;
  /** Microcode revision by /proc/cpuinfo; 0 when unknown (virtual machines may show a made-up one). */
  readonly microcode: number;
  /** CPUID says the instruction exists. */
  readonly rdrand: boolean;
  readonly rdseed: boolean;
  /** /proc/cpuinfo lists the flag on every CPU: the kernel clears it on parts it knows to be broken. */
  readonly flagsRdrand: boolean;
  readonly flagsRdseed: boolean;
}

export interface InterruptCollectorOptions {
  /** Share of one core spent looking, in thousandths: 1 to 1,000. */
  readonly dutyPermille: number;
  /** Length of one burst of back-to-back counter reads: 10 to 10,000 us. */
  readonly burstMicroseconds: number;
  /** A step between two reads larger than this is an event: 100 to 1,000,000 counter ticks. */
  readonly gapCycles: number;
  /** The symbol is the event's time, shifted right by this and cut to 8 bits: 0 to 24. */
  readonly symbolShift: number;
  /** Symbols the ring holds: 64 to 1,048,576. Collecting stops while it is full. */
  readonly capacity: number;
}

/**
 * Bits 2 to 9 of the time of every gap longer than about 1 us (3,000 ticks of a 2.4 GHz counter), at 5 % of one core.
 * native/interrupts.c gives the recordings behind the choice.
 */
export const INTERRUPT_COLLECTOR_DEFAULTS: InterruptCollectorOptions = {
  dutyPermille: 50,
  burstMicroseconds: 1_000,
  gapCycles: 3_000,
  symbolShift: 2,
  capacity: 65_536,
};

export interface InterruptCollectorStatus {
  readonly running: boolean;
  /** Events seen since start, kept or not. */
  readonly events: number;
  /** Of these, the ones that found no room: at most one per burst, since a full ring stops the bursts. */
  readonly dropped: number;
  /** errno of the thread's last failure; 0 when none. */
  readonly lastError: number;
}

/** A thread that times interruptions of itself. One per JavaScript thread; it looks only while it runs. */
export interface InterruptCollector {
  /** Starts the thread. @throws Error when it runs already or cannot be made; RangeError for options out of range. */
  start(options: InterruptCollectorOptions): void;
  /** Moves up to target.length symbols of one byte out of the ring, oldest first; tells how many. */
  take(target: Uint8Array): number;
  status(): InterruptCollectorStatus;
  /** Ends the thread, waits for it and wipes the ring. Does nothing when it does not run. */
  stop(): void;
}

export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** The kernel's own uevents (NETLINK_KOBJECT_UEVENT), non-blocking; a message from any other sender is dropped. */
export interface UeventSocket {
  /** Opens the socket; false when the kernel refuses. Opening an open socket does nothing. */
  open(): boolean;
  /** Copies one message, NUL-separated `KEY=value` fields after `ACTION@path`; 0 when none waits. */
  receive(target: Uint8Array): number;
  close(): void;
}
