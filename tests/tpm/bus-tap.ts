import { connect, createServer, type Server } from 'node:net';
import { rmSync } from 'node:fs';

export type Change = (bytes: Buffer, command: number) => Buffer;

/** Sits on the bus between a client and a TPM's socket: it hears everything, and may alter what the TPM answers. */
export class BusTap {
  readonly heard: Buffer[] = [];
  readonly #path: string;
  readonly #server: Server;
  change: Change = (bytes) => bytes;

  private constructor(path: string, server: Server) {
    this.#path = path;
    this.#server = server;
  }

  static async open(path: string, target: string): Promise<BusTap> {
    const server = createServer();
    const tap = new BusTap(path, server);
    server.on('connection', (client) => {
      const tpm = connect(target);
      let command = 0;
      client.on('data', (bytes) => {
        command = bytes.readUInt32BE(6);
        tap.heard.push(bytes);
        tpm.write(bytes);
      });
      tpm.on('data', (bytes) => {
        tap.heard.push(bytes);
        client.write(tap.change(bytes, command));
      });
      client.on('error', () => tpm.destroy());
      client.on('close', () => tpm.destroy());
      tpm.on('error', () => client.destroy());
      tpm.on('close', () => client.destroy());
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    return tap;
  }

  get path(): string {
    return `swtpm:${this.#path}`;
  }

  async close(): Promise<void> {
    await new Promise((resolve) => this.#server.close(resolve));
    rmSync(this.#path, { force: true });
  }
}
