// Lists what was built, with digests, in out/manifest.json: what `--verify-installation` and a sealed configuration compare with. Runs last.
// With ENTROPY_MIXER_RELEASE_KEY=FILE (an Ed25519 private key in PEM, kept outside the repository) the manifest is signed, and the public half
// is put beside it; without, the build is `local`: nobody vouches for it but this machine.
import { createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const MANIFEST = 'out/manifest.json';
const SIGNATURE = 'out/manifest.sig';
const RELEASE_KEY = 'out/release-key.pem';

const files = [
  ...named('out', /\.js$/),
  ...named('build', /^mixer\..*\.(wasm|json)$/),
  ...named('build/native', /^(addon\.node|kernel-writer)$/),
].sort();
const manifest = `${JSON.stringify({ format: 1, files: Object.fromEntries(files.map((file) => [file, digestOf(file)])) }, null, 2)}\n`;
for (const file of [SIGNATURE, RELEASE_KEY]) rmSync(path.join(root, file), { force: true });
writeFileSync(path.join(root, MANIFEST), manifest);
const keyFile = process.env.ENTROPY_MIXER_RELEASE_KEY;
if (keyFile) signWith(keyFile);

function signWith(file) {
  const key = createPrivateKey(readFileSync(file));
  if (key.asymmetricKeyType !== 'ed25519') throw new Error(`${file} is no Ed25519 key`);
  writeFileSync(path.join(root, SIGNATURE), sign(null, Buffer.from(manifest), key));
  writeFileSync(path.join(root, RELEASE_KEY), createPublicKey(key).export({ type: 'spki', format: 'pem' }));
}

function named(directory, pattern) {
  const place = path.join(root, directory);
  if (!existsSync(place)) return [];
  return readdirSync(place)
    .filter((name) => pattern.test(name))
    .map((name) => `${directory}/${name}`);
}

function digestOf(file) {
  return createHash('sha256')
    .update(readFileSync(path.join(root, file)))
    .digest('hex');
}
