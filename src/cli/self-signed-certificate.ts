import * as asn1js from 'asn1js';
import { randomBytes, webcrypto } from 'node:crypto';
import { isIPv4, isIPv6 } from 'node:net';
import {
  AttributeTypeAndValue,
  BasicConstraints,
  Certificate,
  ExtKeyUsage,
  Extension,
  GeneralName,
  GeneralNames,
} from 'pkijs';

/** A bundle of its own: its libraries are loaded by the one command that needs them. It knows nothing of the rest. */

export interface SelfSignedOptions {
  /** DNS names and IP addresses, at least one; the first is the common name too. */
  readonly names: readonly string[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

export interface SelfSigned {
  /** PEM. */
  readonly certificate: string;
  /** PKCS #8 in PEM; the caller wipes it. */
  readonly key: Buffer;
}

/** Object identifiers of RFC 5280. */
const OID = {
  commonName: '2.5.4.3',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const;
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const VERSION_3 = 2;
/** RFC 5280 4.1.2.2: positive, and at most 20 octets. */
const SERIAL_BYTES = 16;
/** RFC 5280, upper bound of a common name; a longer one stands among the alternative names alone. */
const COMMON_NAME_MAXIMUM = 64;
/** The first bit, digitalSignature; the seven others are unused. */
const DIGITAL_SIGNATURE = { valueHex: Uint8Array.of(0x80).buffer, unusedBits: 7 };
const DNS_NAME = 2;
const IP_ADDRESS = 7;

/** An ECDSA P-256 key, and a certificate (X.509 v3) by it, for it: no authority, good for either end of TLS. */
export async function makeSelfSigned(options: SelfSignedOptions): Promise<SelfSigned> {
  const { publicKey, privateKey } = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = new Certificate();
  certificate.version = VERSION_3;
  certificate.serialNumber = new asn1js.Integer({ valueHex: serialNumber() });
  const [commonName = ''] = options.names.filter(({ length }) => length <= COMMON_NAME_MAXIMUM);
  const name = new AttributeTypeAndValue({
    type: OID.commonName,
    value: new asn1js.Utf8String({ value: commonName }),
  });
  certificate.issuer.typesAndValues.push(name);
  certificate.subject.typesAndValues.push(name);
  certificate.notBefore.value = new Date(options.notBeforeMs);
  certificate.notAfter.value = new Date(options.notAfterMs);
  certificate.extensions = extensions(options.names);
  await certificate.subjectPublicKeyInfo.importKey(publicKey);
  await certificate.sign(privateKey, 'SHA-256');
  const der = Buffer.from(certificate.toSchema(true).toBER());
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', privateKey));
  try {
    return { certificate: pem('CERTIFICATE', der).toString('latin1'), key: pem('PRIVATE KEY', pkcs8) };
  } finally {
    pkcs8.fill(0);
  }
}

function extensions(names: readonly string[]): Extension[] {
  return [
    extension(OID.subjectAltName, false, new GeneralNames({ names: names.map(generalName) }).toSchema()),
    extension(OID.basicConstraints, true, new BasicConstraints({ cA: false }).toSchema()),
    extension(OID.keyUsage, true, new asn1js.BitString(DIGITAL_SIGNATURE)),
    extension(
      OID.extendedKeyUsage,
      false,
      new ExtKeyUsage({ keyPurposes: [OID.serverAuth, OID.clientAuth] }).toSchema(),
    ),
  ];
}

function extension(extnID: string, critical: boolean, value: asn1js.AsnType): Extension {
  return new Extension({ extnID, critical, extnValue: value.toBER() });
}

function generalName(name: string): GeneralName {
  const octets = addressOctets(name);
  if (octets === undefined) return new GeneralName({ type: DNS_NAME, value: name });
  return new GeneralName({ type: IP_ADDRESS, value: new asn1js.OctetString({ valueHex: octets }) });
}

/** RFC 5280 4.2.1.6: 4 or 16 octets; undefined for what is no address. */
function addressOctets(name: string): ArrayBuffer | undefined {
  if (isIPv4(name)) return Uint8Array.from(name.split('.').map(Number)).buffer;
  if (!isIPv6(name)) return undefined;
  // The URL parser writes every IPv6 address in hexadecimal groups with one gap at most.
  const [before = '', after] = new URL(`http://[${name}]`).hostname.slice(1, -1).split('::');
  const left = groupsIn(before);
  const right = groupsIn(after ?? '');
  const gap = Array<number>(IPV6_GROUPS - left.length - right.length).fill(0);
  const octets = [...left, ...gap, ...right].flatMap((group) => [group >> 8, group & 0xff]);
  return Uint8Array.from(octets).buffer;
}

const IPV6_GROUPS = 8;

function groupsIn(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => parseInt(group, 16));
}

function serialNumber(): ArrayBuffer {
  const bytes = Uint8Array.from(randomBytes(SERIAL_BYTES));
  // Positive, and of full length.
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.buffer;
}

/** RFC 7468. As bytes: a key is among what it writes. */
function pem(label: string, der: Buffer): Buffer {
  const lines = Buffer.from(der.toString('base64').replace(/(.{64})(?!$)/g, '$1\n'), 'latin1');
  return Buffer.concat([
    Buffer.from(`-----BEGIN ${label}-----\n`),
    lines,
    Buffer.from(`\n-----END ${label}-----\n`),
  ]);
}
