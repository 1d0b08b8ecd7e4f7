import { EXIT } from '../base/errors.ts';
import { PAYLOAD_MAXIMUM_BYTES, PAYLOAD_MINIMUM_BYTES } from '../protocol/limits.ts';

/** Bytes of a frame when nothing else is asked for. */
export const CHUNK_BYTES = 4096;

export function helpText(): string {
  return `Usage: entropy-feed --key FILE [options] SOURCE
       entropy-feed --kickstart FILE --bytes SIZE --sources MASK SOURCE
       entropy-feed verify RECEIPTS --key FILE|HEX

Feeds entropy to an entropyd over a mutually proven, encrypted connection. What was sent is never sent again: without a receipt
those bytes are destroyed and new ones drawn. SIGINT or SIGTERM finishes the frame under way and ends in order; a second one ends
at once.

Sources:
  file PATH           a regular file of recorded entropy, once from start to end
  stdin               standard input, until it ends
  device PATH         a character device; make a serial port raw first (stty -F PATH raw). Not /dev/random or /dev/urandom
  pkcs11 --module SO --token LABEL [--pin-file FILE]
                      an HSM or token by way of its PKCS#11 library, which runs in a process of its own. Without a PIN file there
                      is no login; the file must be its owner's alone (chmod 600)

Options:
  --key FILE          the enrolment file that \`entropyctl mixer feeder enroll\` wrote on the host; its owner's alone (chmod 600)
  --url URL           ws://HOST:PORT or wss://HOST:PORT, instead of the one in the enrolment
  --feeder NAME       instead of the one in the enrolment
  --ca FILE           for wss: trust the authorities in this file (PEM) instead of the public ones
  --pin SHA256        for wss: the SHA-256 of the host's public key, as the daemon's log and \`entropyctl mixer tls self-signed\`
                      show it: 64 hexadecimal digits, or sha256//BASE64. Chain, dates and names then count only with --ca
  --tls-cert FILE, --tls-key FILE
                      for wss: what to show to a host that asks for a certificate, both in PEM
  --once              one connection: end when it fails, rather than connect again (after 0 to 0.5 s, then longer, 60 s at most)
  --rate BYTES        at most so many bytes a second
  --chunk BYTES       bytes of a frame, ${PAYLOAD_MINIMUM_BYTES} to ${PAYLOAD_MAXIMUM_BYTES}; default ${CHUNK_BYTES}
  --total BYTES       end after so many bytes, ${PAYLOAD_MINIMUM_BYTES} or more. A rest under ${PAYLOAD_MINIMUM_BYTES} bytes is left out, here and at the end of a file
  --receipts FILE     append each signed receipt to this file
  --progress auto|json|none
                      one line that is kept current on a terminal and JSON lines elsewhere; always JSON lines; nothing
  --kickstart FILE --bytes SIZE --sources MASK
                      feed nobody; write \`entropy --sources=MASK --data=BASE64\`, the line for the kickstart of a new host, to
                      FILE, mode 0600, never over another. SIZE is 512000 to 10MiB, MASK 0 to 15 (12: RDSEED and external)
  --help, --version

${exitText()}`;
}

export function verifyHelpText(): string {
  return `Usage: entropy-feed verify RECEIPTS --key FILE|HEX

Verifies a file of receipts without a daemon: signatures, chains, order and sums, of each session in it.

Options:
  --key FILE|HEX      the receipt key of the host: an enrolment file, or 64 hexadecimal digits, or a file that holds those

Exit codes: ${EXIT.ok} all genuine, ${EXIT.integrity} a receipt does not verify, ${EXIT.input} the file cannot be read, ${EXIT.usage} the command line is not understood.
`;
}

function exitText(): string {
  const meanings: readonly (readonly [number, string])[] = [
    [EXIT.ok, 'the input ended, the total was reached, or a signal ended it in order'],
    [EXIT.failed, 'another error, its code is on standard error; or a second signal'],
    [EXIT.usage, 'the command line or the enrolment file is not understood'],
    [EXIT.permission, 'a file with a key or PIN can be reached by others'],
    [EXIT.integrity, 'a receipt does not verify'],
    [EXIT.externalDisabled, "the host's source mask leaves external entropy out"],
    [
      EXIT.connection,
      'the connection failed or the host ended it, for good or with --once, whatever reason it gave but the next and the last',
    ],
    [EXIT.authentication, 'feeder and host do not prove each other, or the feeder is disabled or suspended'],
    [EXIT.input, 'the input or a TLS file cannot be read, or is refused; for verify, the receipts'],
    [EXIT.internal, 'an invariant of the program broke'],
  ];
  const lines = meanings.map(([code, meaning]) => `  ${String(code).padStart(2)}  ${meaning}\n`);
  return `Exit codes:\n${lines.join('')}`;
}
