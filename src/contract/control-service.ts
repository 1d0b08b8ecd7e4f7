import type { EventRecord } from '../base/events.ts';
import type { GateReason } from '../base/names.ts';
import type { AccessService } from './access-service.ts';
import type { EntropyIntake } from './entropy-intake.ts';
import type { EncryptionChange, EncryptionReport, SealCheck } from './encryption.ts';
import type { ExternalReport } from './external.ts';
import type { FeederEnrolment, FeederReport, ReceiptKeyReport } from './feeders.ts';
import type { InstallSeedReport } from './install-seed.ts';
import type { GateReport } from './gate.ts';
import type { ZeroizeControl } from './zeroize.ts';
import type { RecoveryControl } from './recovery.ts';
import type {
  ConfigurationReport,
  LedgerReport,
  SelfTestReport,
  SourceReport,
  StatusReport,
} from './outputs.ts';

/** What a caller may do: nothing but open routes, read, or read and change. */
export type PeerAccess = 'none' | 'read' | 'change';

/** How the configuration is encrypted. */
export interface EncryptionControl {
  report(): EncryptionReport;
  /** All that is asked for is done, or nothing is. */
  change(change: EncryptionChange, peer: Peer): Promise<EncryptionReport>;
  /** Joins these bytes of a passphrase file into mode NONE, or others in their place; the caller wipes them. */
  setPassphrase(content: Uint8Array, peer: Peer): Promise<EncryptionReport>;
  /** From protection back to obfuscation. */
  removePassphrase(peer: Peer): Promise<EncryptionReport>;
  /** The seal does not look at the PCRs that firmware changes for so many boots after this one; 0 ends that. */
  suspend(boots: number, peer: Peer): Promise<EncryptionReport>;
  /** Opens what is on disk once more, and tells what came of it. */
  check(): Promise<SealCheck>;
}

/** What an operator asks of the gate: the sources of `mask` (1 to 15) for so many seconds (10 to 86,400). */
export interface GateOverrideRequest {
  readonly mask: number;
  readonly seconds: number;
  readonly reason: string;
}

/** An overridden gate is open, but not as the policy asks: it is not ready, and that is the reason. */
export interface Readiness {
  readonly ready: boolean;
  readonly reason: GateReason | 'overridden' | null;
}

/**
 * Who asks: `name` is for the audit trail (`uid 1000, pid 4711`, `token hsm from 127.0.0.1`), `access` is what he may do by where he
 * connected.
 */
export interface Peer {
  readonly name: string;
  readonly access: PeerAccess;
}

export interface EventPage {
  /** From this sequence on none is missing but routine events, of which fewer are kept. */
  readonly oldest: number;
  /** Sequence of the newest event; 0 before the first. */
  readonly latest: number;
  readonly records: readonly EventRecord[];
}

/**
 * All that the interfaces (control socket, TCP) can ask of the daemon. Every operational error is an
 * EntropyError; arguments were checked against the route's schema, except a configuration patch, whose keys and
 * ranges only the store knows.
 */
export interface ControlService {
  readonly encryption: EncryptionControl;
  readonly access: AccessService;
  readonly intake: EntropyIntake;
  status(): Promise<StatusReport>;
  sources(): Promise<SourceReport[]>;
  /** The last feeds, newest first, at most `limit` (1 to 4,096), and the totals. */
  ledger(limit: number): Promise<LedgerReport>;
  /** Kept events with a sequence above `after`, oldest first, at most `limit`. */
  events(after: number, limit: number): EventPage;
  /** Calls deliver for each event from now on; returns what ends it. */
  subscribe(deliver: (record: EventRecord) => void): () => void;
  selfTest(): Promise<SelfTestReport>;
  testSource(name: string): Promise<SourceReport>;
  restoreSource(name: string, reason: string, peer: Peer): Promise<SourceReport>;
  overrideGate(request: GateOverrideRequest, peer: Peer): Promise<GateReport>;
  /** Ends an override, if there is one. */
  restoreGate(peer: Peer): Promise<GateReport>;
  configuration(): ConfigurationReport;
  /** One value or null (back to the default) for each key; all of them are taken or none is. */
  changeConfiguration(patch: unknown, peer: Peer): Promise<ConfigurationReport>;
  external(): Promise<ExternalReport>;
  installSeed(): Promise<InstallSeedReport>;
  feeders(): Promise<FeederReport[]>;
  /**
   * Enrols a feeder, under a key of 32 bytes that the caller brings and wipes, or one that is made here. Answers the bytes of
   * its enrolment file, key included; whoever gets them wipes them.
   */
  enrollFeeder(
    name: string,
    enrolment: FeederEnrolment,
    importedKey: Uint8Array | undefined,
    peer: Peer,
  ): Promise<Uint8Array>;
  /** Like enrolment, for a new key; the old one holds until the new one is used. */
  rotateFeeder(name: string, importedKey: Uint8Array | undefined, peer: Peer): Promise<Uint8Array>;
  disableFeeder(name: string, peer: Peer): Promise<FeederReport>;
  enableFeeder(name: string, peer: Peer): Promise<FeederReport>;
  /** Answers what the feeder was when it was forgotten. */
  revokeFeeder(name: string, peer: Peer): Promise<FeederReport>;
  receiptKey(): Promise<ReceiptKeyReport>;
  /** DRBG output, 1 to 65,536 bytes, wiped by whoever gets it; `fresh`: only from entropy that arrives after the call. */
  random(bytes: number, fresh: boolean): Promise<Uint8Array>;
  readonly recovery: RecoveryControl;
  readonly zeroizing: ZeroizeControl;
  ready(): Readiness;
}
