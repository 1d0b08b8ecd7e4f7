import { createHash, randomFillSync } from 'node:crypto';
import type { EntropyError } from '../../src/base/errors.ts';
import { Bootbank } from '../../src/state/bootbank.ts';
import { DowngradeGuard } from '../../src/state/downgrade-guard.ts';
import type { EncryptionInfo } from '../../src/state/encryption-info.ts';
import { NoneWrapping } from '../../src/state/root-key.ts';
import { SECURE_BOOT_PCR } from '../../src/base/names.ts';
import { StateArchive } from '../../src/state/state-archive.ts';
import { TpmWrapping } from '../../src/state/tpm-wrapping.ts';
import { SimulatedFiles } from '../durable/simulated-files.ts';
import { withSoftwareTpm, type SoftwareTpm } from '../tpm/software-tpm.ts';

const random = (target: Uint8Array): void => void randomFillSync(target);

/** A host with a software TPM and a disk, on which the archive is sealed and opened again and again, to PCR 7 unless told otherwise. */
export class SealedHost {
  readonly files = new SimulatedFiles();
  /** Why a seal was left without its mark in the TPM. */
  readonly unmarked: string[] = [];
  readonly software: SoftwareTpm;
  installation = createHash('sha256').update('matched, signer A').digest();
  /** What a first seal is to be bound to. */
  pcrs: readonly number[] = [SECURE_BOOT_PCR];
  wrapping: TpmWrapping;

  constructor(software: SoftwareTpm) {
    this.software = software;
    this.wrapping = this.#wrapping();
  }

  /** As a start of the daemon does; the mode is that of a new archive. */
  async open(mode: 'NONE' | 'TPM' = 'TPM'): Promise<StateArchive> {
    this.wrapping = this.#wrapping();
    this.wrapping.pcrs = this.pcrs;
    const inner = new NoneWrapping({ random });
    const guard = new DowngradeGuard({ subject: '/state' }, { inner, openTpm: () => this.software.open() });
    return StateArchive.open({ mode }, { files: this.files, random, wrappings: [guard, this.wrapping] });
  }

  /** Saves the document `a` as kept, sealed if nothing was there. */
  async keep(): Promise<void> {
    const archive = await this.open();
    await archive.save('a', Buffer.from('kept'));
    await archive.close();
  }

  /** What a start finds: the document, or why the archive is refused. */
  async found(): Promise<string | undefined> {
    const archive = await this.open();
    const found = archive.refused?.code ?? archive.document('a')?.toString();
    await archive.close();
    return found;
  }

  async refusal(): Promise<EntropyError> {
    const { refused } = await this.open();
    if (refused === undefined) throw new Error('it is not refused');
    return refused;
  }

  /** A boot after which PCR 7 is this one. */
  async boot(pcr7: Buffer | undefined): Promise<void> {
    await this.software.reboot();
    if (pcr7 !== undefined) await this.software.use((tpm) => tpm.extendPcr(SECURE_BOOT_PCR, pcr7));
  }

  async info(): Promise<EncryptionInfo> {
    return (await new Bootbank({ files: this.files }).load())!.info;
  }

  /** Changes fields of the archive on disk, as whoever has the disk can. */
  async tamper(fields: Readonly<Record<string, string>>): Promise<void> {
    const bank = new Bootbank({ files: this.files });
    const { info, envelope } = (await bank.load())!;
    const changed = new Map([...info.fields, ...Object.entries(fields)]);
    await bank.save({ info: { ...info, fields: changed }, envelope });
  }

  #wrapping(): TpmWrapping {
    return new TpmWrapping(
      { subject: '/state', vendorPolicy: 'none' },
      {
        openTpm: () => this.software.open(),
        random,
        measureInstallation: () => Promise.resolve(this.installation),
        onUnmarked: ({ code }) => this.unmarked.push(code),
      },
    );
  }
}

export async function withSealedHost(work: (host: SealedHost) => Promise<void>): Promise<void> {
  await withSoftwareTpm((software) => work(new SealedHost(software)));
}
