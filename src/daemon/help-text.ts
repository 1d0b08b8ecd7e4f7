import { PARAMETERS, rangeOf } from '../contract/parameters.ts';
import { CONFIGURATION_FILE, DEFAULT_LISTEN } from '../contract/start-settings.ts';
import { DEFAULT_VENDOR_POLICY, VENDOR_POLICY_NAMES } from '../state/tpm-vendor-policy.ts';
import { INSTALL_FILE } from './install-file.ts';
import { PARAMETER_FLAGS } from './parameter-flags.ts';
import { PASSPHRASE_CREDENTIAL } from './passphrase-place.ts';
import { DEFAULT_TPM } from './state-encryption.ts';

/** What `entropyd --help` says; the manual page is made of it. */
export function helpText(): string {
  const parameters = PARAMETER_FLAGS.map((key) => {
    const { name, description } = PARAMETERS[key];
    return `  --${name}=<${rangeOf(key)}>\n${indented(`${description} Default ${String(PARAMETERS[key].default)}.`)}`;
  });
  return `Usage: entropyd [options]
       entropyd install --kickstart FILE [options]
       entropyd recover [--help]
       entropyd zeroize --yes-destroy HOSTNAME [--help]

Collects, tests and mixes entropy, and feeds the kernel pool. Stays in the foreground; SIGTERM or SIGINT ends it in order.

Options:
  --config=FILE
        Takes paths, listener and TLS, one \`name = value\` a line, from this file, below the flags. Default
        ${CONFIGURATION_FILE} where there is one; none reads none.
  --state-dir=DIR
        Configuration archive, feed ledger and caches. Default $STATE_DIRECTORY, /var/lib/entropy-mixer for root,
        else $XDG_STATE_HOME/entropy-mixer.
  --runtime-dir=DIR
        Control and EGD socket. Default $RUNTIME_DIRECTORY, /run/entropy-mixer for root, else $XDG_RUNTIME_DIR/entropy-mixer.
  --listen=HOST:PORT
        Where feeders of external entropy connect; without TLS on the loopback only. Default ${DEFAULT_LISTEN}; port 0
        chooses one and writes it to the file address in the runtime directory.
  --tls-cert=FILE, --tls-key=FILE
        Serve TLS 1.3 and 1.2: a certificate with its issuers, and its key without a passphrase (mode 0600), both in PEM.
        SIGHUP reads them again; open connections go on. \`entropyctl mixer tls self-signed\` makes a pair for a lab.
  --tls-client-ca=FILE
        Let in only clients with a certificate of these authorities (PEM).
  --install-kickstart=FILE
        A kickstart that is applied once, when it is there and the state is new. Default for root ${INSTALL_FILE}.
  --encryption-mode=none|tpm|auto
        How the key of a new configuration archive is kept; one that is there keeps its mode. none is obfuscation, not protection, and the
        default. auto is tpm where a TPM can be used, else none, and says which; tpm does not start without. tpm cannot be undone.
  --tpm=PATH
        The TPM: ${DEFAULT_TPM} if nothing is named, or swtpm:SOCKET for a software TPM.
  --tpm-vendor-policy=${VENDOR_POLICY_NAMES.join('|')}
        TPMs that are not used, by manufacturer and model. Default ${DEFAULT_VENDOR_POLICY}.
  --passphrase-file=FILE
        A passphrase, 8 to 1,024 bytes in a file of mode 0600, joined into a new archive of mode NONE, which is protection then; an archive
        that has one opens by it. Without the option: the systemd credential ${PASSPHRASE_CREDENTIAL}, if there is one. An archive that has
        none gets it by \`entropyctl system settings encryption passphrase set\`.
  --verify-installation
        Compares the installed files with the manifest of their build first, and does not start when one was changed.
  --log-format=text|json, --log-level=debug|info|warn|error
  --help, --version

Parameters, which win over the stored configuration:
${parameters.join('\n')}

Environment:
  ENTROPY_MIXER_WASM=simd|scalar|debug forces a build of the mixer module.
`;
}

function indented(paragraph: string): string {
  return `        ${paragraph}`;
}
