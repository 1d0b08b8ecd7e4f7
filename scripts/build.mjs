// Builds all that runs: the mixer module, the native part where a compiler is, one bundle a program, and openapi.json.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

script('build-native.mjs');
script('build-wasm.mjs');
await bundle({
  entropyd: 'src/daemon/main.ts',
  'engine-thread': 'src/daemon/engine-thread.ts',
  entropyctl: 'src/cli/entropyctl.ts',
  'self-signed-certificate': 'src/cli/self-signed-certificate.ts',
  'entropy-feed': 'src/feeder/main.ts',
  'pkcs11-child': 'src/feeder/pkcs11-child.ts',
  feeder: 'src/feeder/index.ts',
});
script('build-openapi.ts');
script('build-man.ts');
script('manifest.mjs');

/** One file a program: start-up reads one file instead of hundreds. */
async function bundle(entryPoints) {
  await build({
    absWorkingDir: root,
    entryPoints,
    outdir: 'out',
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
    logLevel: 'warning',
    legalComments: 'linked',
    // Compiled when installed, if it could be: looked for when it is needed. ws does without the other.
    external: ['pkcs11js', 'utf-8-validate'],
    alias: { bufferutil: './src/base/web-socket-masking.ts' },
    plugins: [loadedWhenNeeded(Object.values(entryPoints))],
    // Bundled CommonJS packages call require for Node's own modules.
    banner: {
      js: "import { createRequire as bundledRequire } from 'node:module'; const require = bundledRequire(import.meta.url);",
    },
  });
}

/** A bundle that another loads by `import()` stays a file beside it. */
function loadedWhenNeeded(entryFiles) {
  return {
    name: 'loaded-when-needed',
    setup({ onResolve }) {
      onResolve({ filter: /\.ts$/ }, ({ kind, path: file, resolveDir }) => {
        const isBundle = entryFiles.includes(path.relative(root, path.resolve(resolveDir, file)));
        if (kind !== 'dynamic-import' || !isBundle) return undefined;
        return { path: `./${path.basename(file, '.ts')}.js`, external: true };
      });
    },
  };
}

function script(name) {
  const file = path.join(root, 'scripts', name);
  const loader = name.endsWith('.ts') ? ['--import', 'tsx'] : [];
  const result = spawnSync(process.execPath, [...loader, file], { cwd: root, stdio: 'inherit' });
  if (result.status !== 0) process.exit(result.status ?? 1);
}
