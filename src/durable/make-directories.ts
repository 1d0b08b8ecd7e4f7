import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { errnoOf } from '../base/errors.ts';

/**
 * Makes a folder and those missing above it, all of one mode; names those that were made, the highest first. Not mkdir's own
 * `recursive`: under a file system that lets nobody make a folder and says ENOENT to it (/proc), that one tries for ever.
 */
export async function makeDirectories(directory: string, mode: number): Promise<string[]> {
  try {
    await mkdir(directory, mode);
    return [directory];
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'EEXIST') return [];
    const parent = path.dirname(directory);
    if (errno !== 'ENOENT' || parent === directory) throw error;
    const above = await makeDirectories(parent, mode);
    await mkdir(directory, mode);
    return [...above, directory];
  }
}
