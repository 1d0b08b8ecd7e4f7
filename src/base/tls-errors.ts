import { entry, EXIT, type ErrorEntry } from './error-entry.ts';

/** The rows of the table of errors that deal with listening and TLS. */
export const TLS_ERRORS = {
  'listen-needs-tls': entry(
    400,
    EXIT.usage,
    false,
    'Only loopback addresses may be served without TLS.',
    'Listen on 127.0.0.1 or ::1, or give --tls-cert and --tls-key; `entropyctl mixer tls self-signed` makes a pair for a lab.',
  ),
  'listen-failed': entry(
    500,
    EXIT.stateRefused,
    true,
    'The daemon cannot listen on its address.',
    'Free the port, or give another with --listen HOST:PORT; port 0 chooses one.',
  ),
  'tls-file-unreadable': entry(
    500,
    EXIT.input,
    false,
    'A PEM file of TLS is missing or cannot be read.',
    'The detail names file and errno; it must be readable by the user that the program runs as.',
  ),
  'tls-file-invalid': entry(
    500,
    EXIT.input,
    false,
    'A PEM file of TLS does not hold what it should, or OpenSSL refuses it.',
    'The detail names file and reason; look at it with `openssl x509 -text` or `openssl pkey -check`.',
  ),
  'tls-pair-mismatched': entry(
    500,
    EXIT.input,
    false,
    'Certificate and key do not belong together.',
    'Give the key that the certificate was issued for; replace both files before a reload.',
  ),
  'tls-certificate-expired': entry(
    500,
    EXIT.input,
    false,
    'The certificate is not valid at this time: expired, or not yet valid.',
    'Renew it, or set the clock right.',
  ),
  'tls-untrusted': entry(
    502,
    EXIT.authentication,
    false,
    "The host's certificate is not trusted: its chain, its dates or its names do not hold.",
    'Give its authority with --ca, or the pin of its key with --pin; the detail names the check that failed.',
  ),
  'tls-pin-mismatched': entry(
    502,
    EXIT.authentication,
    false,
    "The host's key is not the pinned one; nothing was sent.",
    'If its key was changed on purpose, pin the new one; otherwise look for who sits between.',
  ),
} as const satisfies Record<string, ErrorEntry>;
