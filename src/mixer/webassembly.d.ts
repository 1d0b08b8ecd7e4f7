/** What the mixer uses of the engine's WebAssembly; TypeScript keeps these declarations in its library for browsers. */
declare namespace WebAssembly {
  interface Memory {
    readonly buffer: ArrayBuffer;
    /** Throws a RangeError when the maximum does not allow it. */
    grow(pages: number): number;
  }

  interface ModuleImportDescriptor {
    readonly module: string;
    readonly name: string;
    readonly kind: string;
  }

  interface ModuleExportDescriptor {
    readonly name: string;
    readonly kind: string;
  }

  interface Module {
    readonly [Symbol.toStringTag]: string;
  }

  interface ModuleConstructor {
    new (bytes: Uint8Array<ArrayBuffer>): Module;
    imports(module: Module): ModuleImportDescriptor[];
    exports(module: Module): ModuleExportDescriptor[];
  }

  const Module: ModuleConstructor;

  class Instance {
    constructor(module: Module, imports: object);
    readonly exports: Record<string, unknown>;
  }

  function validate(bytes: Uint8Array<ArrayBuffer>): boolean;
}
