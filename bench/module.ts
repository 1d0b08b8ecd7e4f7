import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where `npm run build` puts the mixer module. */
export const BUILD_DIRECTORY = path.join(path.dirname(fileURLToPath(import.meta.url)), '../build');
