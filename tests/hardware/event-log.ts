import { createHash } from 'node:crypto';

const VARIABLE_EVENT = 0x80000001;

/** A TCG event log (PC Client Platform Firmware Profile, 10.2) with these variables measured into PCR 7, and others before them. */
export function logOf(variables: Readonly<Record<string, Buffer>>): Buffer {
  const spec = Buffer.concat([
    Buffer.from('Spec ID Event03\0', 'latin1'),
    u32(0),
    Buffer.from([0, 2, 0, 2]),
    u32(2),
    u16(0x0004),
    u16(20),
    u16(0x000b),
    u16(32),
    Buffer.of(0),
  ]);
  return Buffer.concat([
    ...[u32(0), u32(3), Buffer.alloc(20), u32(spec.length), spec],
    event(0, 8, Buffer.from('firmware version')),
    ...Object.entries({ SecureBoot: Buffer.of(1), ...variables }).map(([name, value]) =>
      event(7, VARIABLE_EVENT, variableOf(name, value)),
    ),
    event(4, 0x80000003, Buffer.from('boot loader')),
  ]);
}

function event(pcr: number, type: number, data: Buffer): Buffer {
  const digests = [u32(2), u16(0x0004), sha('sha1', data), u16(0x000b), sha('sha256', data)];
  return Buffer.concat([u32(pcr), u32(type), ...digests, u32(data.length), data]);
}

function variableOf(name: string, value: Buffer): Buffer {
  return Buffer.concat([
    Buffer.alloc(16, 0xd7),
    u64(name.length),
    u64(value.length),
    Buffer.from(name, 'utf16le'),
    value,
  ]);
}

function sha(algorithm: string, data: Buffer): Buffer {
  return createHash(algorithm).update(data).digest();
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
