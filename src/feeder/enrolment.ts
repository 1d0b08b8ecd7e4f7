import { wipe } from '../base/bytes.ts';
import { type Enrolment, ENROLMENT_MAXIMUM_BYTES, parseEnrolment } from '../protocol/enrolment-file.ts';
import { readSecretFile } from '../base/secret-file.ts';

/**
 * The enrolment that the operator of the host handed over. Its key is the caller's to wipe.
 *
 * @throws EntropyError enrolment-invalid; key-file-exposed when anybody but its owner can get at the file
 */
export function readEnrolment(path: string): Enrolment {
  const bytes = readSecretFile(path, ENROLMENT_MAXIMUM_BYTES, 'enrolment-invalid');
  try {
    return parseEnrolment(bytes);
  } finally {
    wipe(bytes);
  }
}
