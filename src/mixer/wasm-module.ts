import * as loader from '@assemblyscript/loader';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { EntropyError, errnoOf, messageOf } from '../base/errors.ts';
import {
  ABI_VERSION,
  FUNCTIONS,
  MEMORY_BYTES,
  SEGMENTS,
  SELF_TESTS,
  secrecyNumber,
  type MixerExports,
  type SegmentName,
} from './abi.ts';

export type MixerBuild = 'simd' | 'scalar' | 'debug';

export interface ModuleOptions {
  /** Folder with mixer.{simd,scalar,debug}.wasm and mixer.digests.json. */
  readonly directory: string;
  /** Forces a build; without it, `simd` where the engine accepts that file, else `scalar`. */
  readonly build?: MixerBuild | undefined;
}

export interface MixerModule {
  readonly build: MixerBuild;
  /** SHA-256 of the file, hexadecimal. */
  readonly sha256: string;
  readonly exports: MixerExports;
  /** Views of all segments; they stay valid, because the memory cannot grow. */
  readonly segments: Readonly<Record<SegmentName, Uint8Array>>;
}

export const DIGESTS_FILE = 'mixer.digests.json';

export function moduleFile(build: MixerBuild): string {
  return `mixer.${build}.wasm`;
}

/**
 * Reads, checks and instantiates the mixer module; what it returns has passed every check.
 *
 * EntropyError: module-missing, module-digest-mismatch, module-abi-mismatch, self-test-failed.
 */
export function loadModule(options: ModuleOptions): MixerModule {
  const build = options.build ?? preferredBuild(options.directory);
  const bytes = readModuleFile(options.directory, moduleFile(build));
  const sha256 = checkDigest(options.directory, moduleFile(build), bytes);
  const exports = instantiate(bytes);
  checkMemory(exports.memory);
  const segments = checkSegments(exports);
  checkSelfTest(exports);
  return { build, sha256, exports, segments };
}

/** Asks the engine about the real file, not about some other SIMD sample. */
function preferredBuild(directory: string): MixerBuild {
  return WebAssembly.validate(readModuleFile(directory, moduleFile('simd'))) ? 'simd' : 'scalar';
}

function readModuleFile(directory: string, name: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(readFileSync(path.join(directory, name)));
  } catch (error) {
    throw new EntropyError('module-missing', `${name}: ${errnoOf(error) ?? messageOf(error)}`);
  }
}

function checkDigest(directory: string, name: string, bytes: Uint8Array): string {
  const recorded = parseDigests(new TextDecoder().decode(readModuleFile(directory, DIGESTS_FILE)))[name];
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  if (recorded !== sha256) throw new EntropyError('module-digest-mismatch', `${name} has SHA-256 ${sha256}`);
  return sha256;
}

function parseDigests(text: string): Readonly<Record<string, unknown>> {
  try {
    const digests: unknown = JSON.parse(text);
    if (typeof digests === 'object' && digests !== null) return { ...digests };
  } catch {
    // Told below: what is not JSON is no record of digests either.
  }
  throw new EntropyError('module-digest-mismatch', `${DIGESTS_FILE} is not a table of digests`);
}

function instantiate(bytes: Uint8Array<ArrayBuffer>): MixerExports {
  try {
    const module = new WebAssembly.Module(bytes);
    const imports = WebAssembly.Module.imports(module);
    if (imports.length > 0)
      throw mismatch(`the module imports ${imports.map(({ name }) => name).join(', ')}`);
    checkExportKinds(WebAssembly.Module.exports(module));
    // The checks above make this the type of what comes out.
    const { exports } = loader.instantiateSync<MixerExports>(module, {});
    if (exports.abiVersion() !== ABI_VERSION)
      throw mismatch(`ABI version ${exports.abiVersion()}, not ${ABI_VERSION}`);
    return exports;
  } catch (error) {
    if (error instanceof EntropyError) throw error;
    throw mismatch(messageOf(error));
  }
}

function checkExportKinds(exports: readonly WebAssembly.ModuleExportDescriptor[]): void {
  const kinds = new Map(exports.map(({ name, kind }) => [name, kind]));
  const missing = Object.keys(FUNCTIONS).filter((name) => kinds.get(name) !== 'function');
  if (kinds.get('memory') !== 'memory') missing.push('memory');
  if (missing.length > 0) throw mismatch(`the module does not export ${missing.join(', ')}`);
}

/** Initial = maximum: otherwise a growth would detach the views, and secrets in them would escape the wipe. */
function checkMemory(memory: WebAssembly.Memory): void {
  if (memory.buffer.byteLength !== MEMORY_BYTES)
    throw mismatch(`${memory.buffer.byteLength} bytes of memory`);
  try {
    memory.grow(1);
  } catch {
    return;
  }
  throw mismatch('its memory can grow');
}

function checkSegments(exports: MixerExports): Readonly<Record<SegmentName, Uint8Array>> {
  if (exports.segmentCount() !== SEGMENTS.length) throw mismatch(`${exports.segmentCount()} segments`);
  const views = SEGMENTS.map(({ name, bytes, secrecy }, id) => {
    const address = exports.segmentAddress(id);
    const sameShape =
      exports.segmentCapacity(id) === bytes && exports.segmentSecrecy(id) === secrecyNumber(secrecy);
    // Address 0 is null to AssemblyScript: no segment stands there.
    if (!sameShape || address <= 0 || address + bytes > MEMORY_BYTES) throw mismatch(`segment ${name}`);
    return { name, start: address, end: address + bytes };
  });
  const inOrder = views.toSorted((a, b) => a.start - b.start);
  inOrder.forEach((segment, i) => {
    const next = inOrder[i + 1];
    if (next !== undefined && segment.end > next.start)
      throw mismatch(`${segment.name} overlaps ${next.name}`);
  });
  const entries = views.map(({ name, start, end }) => [
    name,
    new Uint8Array(exports.memory.buffer, start, end - start),
  ]);
  return Object.fromEntries(entries) as Record<SegmentName, Uint8Array>;
}

/** Every test passes, and every test can fail. */
function checkSelfTest(exports: MixerExports): void {
  if (exports.selfTestCount() !== SELF_TESTS.length) throw mismatch(`${exports.selfTestCount()} self-tests`);
  for (let fault = 0; fault <= SELF_TESTS.length; fault++) {
    const failed = exports.selfTest(fault);
    if (failed !== fault) throw new EntropyError('self-test-failed', describeSelfTest(fault, failed));
  }
}

/** What went wrong, where `failed` answered selfTest(`fault`) and is not the same. */
export function describeSelfTest(fault: number, failed: number): string {
  const nameOf = (test: number): string => SELF_TESTS[test - 1] ?? `self-test ${test}`;
  return failed === 0 ? `${nameOf(fault)}: did not see an induced fault` : nameOf(failed);
}

function mismatch(detail: string): EntropyError {
  return new EntropyError('module-abi-mismatch', detail);
}
