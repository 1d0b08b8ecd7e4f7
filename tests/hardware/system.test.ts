import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, chmodSync, closeSync, constants, copyFileSync, openSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openHardware } from '../../src/hardware/open-hardware.ts';
import { compileProgram, temporaryFolder } from '../native/compile.ts';
import { hasAddon, hasCompiler, hasProgram, isRoot, testWhen } from '../requirements.ts';
import { addon, ADDON_PATH, until } from './parts.ts';

const built = testWhen(hasAddon);

/** Runs JavaScript with the addon as `addon` in a process of its own, for calls that change a process for good. */
function inProcess(source: string, ...args: string[]) {
  const script = `const addon = require(${JSON.stringify(ADDON_PATH)}); ${source}`;
  return spawnSync(process.execPath, ['-e', script, ...args], { encoding: 'utf8' });
}

built('a file lock excludes other open files, in this process and in others, until it is closed', () => {
  const file = join(temporaryFolder(), 'lock');
  const tryElsewhere = () =>
    inProcess(
      `console.log(addon.flockExclusive(require('node:fs').openSync(process.argv[1], 'a')))`,
      file,
    ).stdout.trim();
  const first = openSync(file, 'a');
  const second = openSync(file, 'a');
  assert.is(addon().flockExclusive(first), true);
  assert.is(addon().flockExclusive(first), true, 'again by its holder');
  assert.is(addon().flockExclusive(second), false);
  assert.is(tryElsewhere(), 'false');
  closeSync(first);
  assert.is(tryElsewhere(), 'true');
  assert.is(addon().flockExclusive(second), true);
  closeSync(second);
  assert.throws(() => addon().flockExclusive(second), /flock: Bad file descriptor/);
});

/** The descriptor of a connected socket; Node has no public name for it. */
function descriptorOf(socket: net.Socket): number {
  const { _handle: handle } = socket as unknown as { _handle: { fd: number } };
  return handle.fd;
}

async function acceptOne(
  listen: net.ListenOptions,
  connect: net.NetConnectOpts,
): Promise<[net.Socket, () => void]> {
  const server = net.createServer();
  server.listen(listen);
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? { port: address.port } : {};
  const accepted = new Promise<net.Socket>((resolve) => server.once('connection', resolve));
  const client = net.connect({ ...connect, ...port });
  const socket = await accepted;
  const close = () => {
    client.destroy();
    socket.destroy();
    server.close();
  };
  return [socket, close];
}

built('the peer of a Unix socket is known by the kernel', async () => {
  const path = join(temporaryFolder(), 'socket');
  const [socket, close] = await acceptOne({ path }, { path });
  const peer = addon().peerCredentials(descriptorOf(socket));
  close();
  assert.equal(peer, { pid: process.pid, uid: process.getuid!(), gid: process.getgid!() });
});

built('nobody is known on a TCP socket, a file, a closed descriptor', async () => {
  const [socket, close] = await acceptOne({ host: '127.0.0.1', port: 0 }, { host: '127.0.0.1', port: 0 });
  const peer = addon().peerCredentials(descriptorOf(socket));
  close();
  assert.is(peer, undefined);
  const file = openSync('/dev/null', 'r');
  assert.is(addon().peerCredentials(file), undefined);
  closeSync(file);
  assert.is(addon().peerCredentials(file), undefined);
});

/** Receives datagrams on a Unix socket as a supervisor does; `@name` is abstract. */
const RECEIVER = `
#include <stdio.h>
#include <string.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
int main(int count, char **arguments) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char message[8192];
    if (count != 2) return 2;
    size_t length = strlen(arguments[1]);
    memcpy(address.sun_path, arguments[1], length);
    if (address.sun_path[0] == '@') address.sun_path[0] = 0; else length++;
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (bind(fd, (struct sockaddr *)&address, offsetof(struct sockaddr_un, sun_path) + length) != 0) return 1;
    if (write(1, "bound\\n", 6) != 6) return 1;
    ssize_t got = recv(fd, message, sizeof message, 0);
    return got >= 0 && write(1, message, got) == got ? 0 : 1;
}
`;
const receiver = hasCompiler ? compileProgram(RECEIVER) : '';

/** What a supervisor at this address hears. */
async function hear(address: string, send: () => void): Promise<string> {
  const child = spawn(receiver, [address], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (bytes: Buffer) => (output += bytes.toString()));
  const closed = once(child, 'close');
  try {
    await until(() => output.startsWith('bound\n'), 'the receiver');
    send();
    await until(() => child.exitCode !== null, 'the message');
  } finally {
    child.kill();
  }
  await closed;
  return output.slice('bound\n'.length);
}

testWhen(hasAddon && hasCompiler)(
  'a supervisor is told on a path and on an abstract name, to the longest of each',
  async () => {
    const folder = temporaryFolder();
    const longestPath = `${folder}/${'p'.repeat(107 - folder.length - 1)}`;
    const longestName = `@entropy-mixer-test-${process.pid}-`.padEnd(107, 'n');
    for (const notifySocket of [
      join(folder, 'notify'),
      `@entropy-mixer-test-${process.pid}`,
      longestPath,
      longestName,
    ]) {
      const hardware = openHardware({ addonPath: ADDON_PATH, notifySocket });
      const message = 'READY=1\nSTATUS=gate closed: warming';
      const heard = await hear(notifySocket, () => assert.is(hardware.notify(message), true));
      assert.is(heard, message, notifySocket);
    }
  },
);

built('nobody to tell is no error', () => {
  for (const path of [
    '/nonexistent/notify',
    '@entropy-mixer-nobody',
    '',
    '/',
    'relative',
    'vsock:2:1',
    '/'.padEnd(108, 'x'),
  ]) {
    assert.is(addon().sdNotify(path, 'READY=1'), false, path);
  }
  assert.is(openHardware({ addonPath: ADDON_PATH }).notify('READY=1'), false);
});

built('a message is at most 4,096 bytes and has no NUL', () => {
  assert.is(addon().sdNotify('/nonexistent/notify', 'x'.repeat(4096)), false);
  assert.throws(
    () => addon().sdNotify('/x', 'x'.repeat(4097)),
    (error: unknown) => error instanceof RangeError,
  );
  assert.throws(
    () => addon().sdNotify('/x', 'a\0b'),
    (error: unknown) => error instanceof TypeError,
  );
});

built('locked memory is counted by the kernel', () => {
  const { stdout } = inProcess(`
    const locked = () => Number(/^VmLck:\\s*(\\d+)/m.exec(require('node:fs').readFileSync('/proc/self/status', 'utf8'))[1]);
    const before = locked(), bytes = new Uint8Array(32768);
    console.log(addon.lockMemory(bytes), locked() - before);`);
  const [answer, kibibytes] = stdout.trim().split(' ');
  // An ordinary user's RLIMIT_MEMLOCK may be anything: then the answer is an honest false.
  assert.is(answer === 'true', Number(kibibytes) >= 32);
  if (isRoot) assert.is(answer, 'true');
});

built('a process that guards its memory may leave no core, and glibc overwrites what is freed', () => {
  const source = `
    console.log(addon.forbidDump(), addon.overwriteFreed());
    console.log(require('node:fs').readFileSync('/proc/self/limits', 'latin1'));`;
  const { stdout } = inProcess(source);
  assert.match(stdout, /^true true$/m);
  assert.match(stdout, /^Max core file size +0 +0 /m);
});

testWhen(hasAddon && (!isRoot || hasProgram('setpriv')))(
  'a process that forbids dumps is closed to its own user',
  () => {
    const folder = temporaryFolder();
    chmodSync(folder, 0o755);
    copyFileSync(ADDON_PATH, join(folder, 'addon.node'));
    const source = `
    const owner = () => require('node:fs').statSync('/proc/self/mem').uid;
    const before = owner();
    console.log(before, require('${folder}/addon.node').forbidDump(), owner());`;
    const asUser = isRoot ? ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'] : [];
    const { stdout } = spawnSync('env', [...asUser, process.execPath, '-e', source], {
      encoding: 'utf8',
      cwd: '/',
    });
    const user = isRoot ? 65534 : process.getuid!();
    assert.is(stdout.trim(), `${user} true 0`, 'its files in /proc belong to root from then on');
  },
);

/** Writing an action here makes the kernel send it for /dev/null. */
const UEVENT_TRIGGER = '/sys/class/mem/null/uevent';

/** As root, and where /sys is not mounted read-only. */
function canTriggerUevents(): boolean {
  try {
    accessSync(UEVENT_TRIGGER, constants.W_OK);
    return isRoot;
  } catch {
    return false;
  }
}

testWhen(hasAddon && canTriggerUevents())('hears a uevent of the kernel', async () => {
  const { uevents } = openHardware({ addonPath: ADDON_PATH });
  const target = new Uint8Array(8192);
  assert.is(uevents?.open(), true);
  assert.is(uevents?.open(), true, 'opening twice is opening once');
  writeFileSync(UEVENT_TRIGGER, 'change');
  let text = '';
  await until(() => {
    const bytes = uevents?.receive(target) ?? 0;
    text = Buffer.from(target.subarray(0, bytes)).toString('latin1');
    return text.startsWith('change@/devices/virtual/mem/null\0');
  }, 'the uevent of /dev/null');
  assert.match(text, /\0ACTION=change\0.*SUBSYSTEM=mem\0/);
  uevents?.close();
  assert.is(uevents?.receive(target), 0, 'closed, it hears nothing');
});

testWhen(hasAddon && hasCompiler && canTriggerUevents())(
  'does not hear uevents that a process makes up',
  async () => {
    // To the kernel's own group, as root may: the kernel names the sender all the same.
    const forger = compileProgram(`
    #include <linux/netlink.h>
    #include <string.h>
    #include <sys/socket.h>
    int main(void) {
        struct sockaddr_nl to = {.nl_family = AF_NETLINK, .nl_groups = 1};
        char message[] = "add@/devices/forged\\0ACTION=add\\0NEW_VMGENID=1";
        int fd = socket(AF_NETLINK, SOCK_DGRAM, NETLINK_KOBJECT_UEVENT);
        return sendto(fd, message, sizeof message, 0, (struct sockaddr *)&to, sizeof to) == sizeof message ? 0 : 1;
    }`);
    const target = new Uint8Array(8192);
    assert.is(addon().ueventOpen(), true);
    assert.is(spawnSync(forger).status, 0);
    writeFileSync(UEVENT_TRIGGER, 'change');
    const heard: string[] = [];
    await until(() => {
      const bytes = addon().ueventReceive(target);
      if (bytes > 0) heard.push(Buffer.from(target.subarray(0, bytes)).toString('latin1'));
      return heard.some((text) => text.startsWith('change@/devices/virtual/mem/null'));
    }, 'the uevent after the forged one');
    assert.is(
      heard.some((text) => text.includes('forged')),
      false,
    );
    addon().ueventClose();
  },
);

built('a buffer too small for a uevent is refused', () => {
  assert.throws(
    () => addon().ueventReceive(new Uint8Array(4095)),
    (error: unknown) => error instanceof RangeError,
  );
  assert.is(addon().ueventReceive(new Uint8Array(4096)), 0);
});

test.run();
