import type { ExternalReport } from '../../src/contract/external.ts';
import type { InstallSeedReport } from '../../src/contract/install-seed.ts';
import type { FeederReport, ReceiptKeyReport } from '../../src/contract/feeders.ts';

/** External entropy as the sample reports tell it, at the moment where they all stand. */

const NOW_MS = Date.UTC(2026, 0, 2, 3, 4, 5);

/** 400 KiB in memory and 1 MiB stored, at 1/32 bit per byte, drawn at 25.6 bits/s. */
export function sampleExternal(change: Partial<ExternalReport> = {}): ExternalReport {
  return {
    enabled: true,
    link: 'connected',
    feedersConnected: 2,
    level: 'normal',
    memoryBytes: 409_600,
    memorySizeBytes: 524_288,
    lowWatermarkBytes: 104_857,
    storedBytes: 1_048_576,
    storageSizeBytes: 4_194_304,
    installSeedBytes: 0,
    roomBytes: 3_260_416,
    creditedBits: 45_568,
    drawBitsPerSecond: 25.6,
    runwaySeconds: 1_780,
    servableBits: 36_454.4,
    refilling: false,
    storageFailure: '',
    keyGeneration: 42,
    keyChangedMs: NOW_MS - 1_800_000,
    keyFailure: '',
    ...change,
  };
}

export function sampleInstallSeed(change: Partial<InstallSeedReport> = {}): InstallSeedReport {
  return {
    state: 'in-use',
    installedMs: NOW_MS - 3_600_000,
    sources: 12,
    seedBytes: 4_194_304,
    leftBytes: 4_079_078,
    bitsPerByte: 1,
    fingerprint: '0123-4567-89ab-cdef',
    ...change,
  };
}

export function sampleFeeder(change: Partial<FeederReport> = {}): FeederReport {
  return {
    name: 'hsm-1',
    id: 1,
    class: 'drbg',
    bitsPerByte: 0.03125,
    certificate: '',
    maximumBytesPerSecond: 67_108_864,
    weight: 1,
    state: 'enabled',
    link: 'connected',
    address: '127.0.0.1',
    lastHeardMs: NOW_MS - 2_000,
    acceptedBytes: 1_458_176,
    creditedBits: 45_568,
    frames: 356,
    refusedFrames: 0,
    createdMs: NOW_MS - 86_400_000,
    keyRotationPending: false,
    ...change,
  };
}

export function sampleFeeders(): FeederReport[] {
  return [
    sampleFeeder(),
    sampleFeeder({
      name: 'qrng.lab_2',
      id: 7,
      class: 'full-entropy',
      bitsPerByte: 8,
      certificate: 'FIPS 140-3 #4711',
      maximumBytesPerSecond: 65_536,
      state: 'suspended',
      link: 'lost',
      address: '192.0.2.7',
      lastHeardMs: NOW_MS - 3_600_000,
      acceptedBytes: 0,
      creditedBits: 0,
      frames: 3,
      refusedFrames: 3,
      keyRotationPending: true,
    }),
    sampleFeeder({
      name: 'beacon',
      id: 9,
      class: 'public',
      bitsPerByte: 0,
      link: 'never',
      address: '',
      lastHeardMs: null,
      acceptedBytes: 0,
      creditedBits: 0,
      frames: 0,
    }),
  ];
}

export const SAMPLE_RECEIPT_KEY: ReceiptKeyReport = {
  host: '00112233445566778899aabbccddeeff',
  key: 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
  algorithm: 'Ed25519',
};
