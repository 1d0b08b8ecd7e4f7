import { constants, type X509Certificate } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';
import { wipe } from '../base/bytes.ts';
import type { Clock, Timer } from '../base/clock.ts';
import { isEntropyError } from '../base/errors.ts';
import type { EventDetail, EventSink } from '../base/events.ts';
import {
  pinOf,
  readAuthorities,
  readTlsPair,
  TLS_RULES,
  validUntilMs,
  type TlsPairFiles,
} from '../base/tls-files.ts';
import { MS_PER_SECOND } from '../base/units.ts';

export interface TlsIdentityOptions extends TlsPairFiles {
  /** Authorities of client certificates, in PEM; without them no client certificate is asked for. */
  readonly clientAuthoritiesFile: string | undefined;
}

export interface TlsIdentityDependencies {
  readonly clock: Clock;
  readonly events: EventSink;
}

const MS_PER_DAY = 86_400 * MS_PER_SECOND;
const EXPIRY_WARNING_DAYS = 14;

/**
 * What every context of the listener is made with. Sessions are not resumed: feeders stay connected, and so nobody gets past a check
 * that was tightened since. Renegotiation of TLS 1.2 is for nothing here.
 */
const SERVER_RULES: SecureContextOptions = {
  ...TLS_RULES,
  honorCipherOrder: true,
  secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
};

/**
 * The certificate and key that the listener presents, from files that can be read again while it runs. What is read replaces what there was
 * only when all of it is usable.
 */
export class TlsIdentity {
  /** A client certificate is required. Fixed at start: whether one is asked for belongs to the server, not to its context. */
  readonly asksClients: boolean;
  readonly #options: TlsIdentityOptions;
  readonly #dependencies: TlsIdentityDependencies;
  #leaf: X509Certificate;
  #expiryCheck: Timer | undefined;

  private constructor(
    options: TlsIdentityOptions,
    dependencies: TlsIdentityDependencies,
    leaf: X509Certificate,
  ) {
    this.asksClients = options.clientAuthoritiesFile !== undefined;
    this.#options = options;
    this.#dependencies = dependencies;
    this.#leaf = leaf;
  }

  /**
   * Reads the files and lends a context's options to `use`: the key in them is wiped when that returns.
   *
   * @throws EntropyError tls-file-unreadable, tls-file-invalid, key-file-exposed, tls-pair-mismatched, tls-certificate-expired
   */
  static open<T>(
    options: TlsIdentityOptions,
    dependencies: TlsIdentityDependencies,
    use: (context: SecureContextOptions, identity: TlsIdentity) => T,
  ): T {
    return withContext(options, dependencies.clock, (context, leaf) => {
      const identity = new TlsIdentity(options, dependencies, leaf);
      const used = use(context, identity);
      identity.#tellLoaded();
      return used;
    });
  }

  /** The certificate that is presented. */
  get leaf(): X509Certificate {
    return this.#leaf;
  }

  /** Reads the files again, and lends the new options to `use`; files that cannot be used change nothing and are told. */
  reload(use: (context: SecureContextOptions) => void): void {
    try {
      withContext(this.#options, this.#dependencies.clock, (context, leaf) => {
        use(context);
        this.#leaf = leaf;
      });
    } catch (error) {
      if (!isEntropyError(error)) throw error;
      const { code, message } = error;
      this.#dependencies.events.emit('tls.certificate.kept', { code, because: message, ...this.#facts() });
      return;
    }
    this.#tellLoaded();
  }

  close(): void {
    this.#expiryCheck?.cancel();
  }

  #tellLoaded(): void {
    const clientCertificates = this.asksClients ? 'required' : 'not asked for';
    this.#dependencies.events.emit('tls.certificate.loaded', { ...this.#facts(), clientCertificates });
    this.#checkExpiry();
  }

  /** Once a day: a certificate that ran out keeps the listener up, for clients with a pin may not mind. */
  #checkExpiry(): void {
    const { clock, events } = this.#dependencies;
    const daysLeft = Math.floor((validUntilMs(this.#leaf) - clock.wallMs()) / MS_PER_DAY);
    if (daysLeft < EXPIRY_WARNING_DAYS)
      events.emit('tls.certificate.expiring', { daysLeft, ...this.#facts() });
    this.#expiryCheck?.cancel();
    this.#expiryCheck = clock.after(MS_PER_DAY, () => this.#checkExpiry());
  }

  #facts(): EventDetail {
    const { subjectAltName = 'none' } = this.#leaf;
    return {
      names: subjectAltName,
      validUntil: new Date(validUntilMs(this.#leaf)).toISOString(),
      pin: pinOf(this.#leaf).toString('hex'),
    };
  }
}

function withContext<T>(
  options: TlsIdentityOptions,
  clock: Clock,
  use: (context: SecureContextOptions, leaf: X509Certificate) => T,
): T {
  const { clientAuthoritiesFile } = options;
  const ca = clientAuthoritiesFile === undefined ? undefined : readAuthorities(clientAuthoritiesFile);
  const { certificates, key, leaf } = readTlsPair(options, clock.wallMs());
  try {
    return use({ ...SERVER_RULES, cert: certificates, key, ...(ca !== undefined && { ca }) }, leaf);
  } finally {
    wipe(key);
  }
}
