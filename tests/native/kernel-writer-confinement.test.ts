import { spawnSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { hasCompiler, testWhen } from '../requirements.ts';
import { compileProgram } from './compile.ts';

/** Runs the set-up of native/kernel-writer.c in a child and then tries something; prints how the child ended. */
const HARNESS = `
#define main kernel_writer_main
#include "kernel-writer.c"
#undef main
#include <sys/socket.h>
#include <sys/wait.h>

static void try(const char *what) {
    char byte = 0;
    int number = 0;
    if (strcmp(what, "nothing") == 0) return;
    if (strcmp(what, "read request") == 0) { if (read(REQUESTS, &byte, 0) == 0) return; }
    if (strcmp(what, "write reply") == 0) { if (write(REQUESTS, &byte, 1) == 1) return; }
    if (strcmp(what, "count") == 0) { if (ioctl(POOL, RNDGETENTCNT, &number) == 0) return; }
    if (strcmp(what, "getpid") == 0) syscall(SYS_getpid);
    if (strcmp(what, "open") == 0) syscall(SYS_openat, -100, "/etc/passwd", 0);
    if (strcmp(what, "socket") == 0) syscall(SYS_socket, 1, 1, 0);
    if (strcmp(what, "clone") == 0) syscall(SYS_clone, 17, 0, 0, 0, 0);
    if (strcmp(what, "read pool") == 0) syscall(SYS_read, POOL, &byte, 1);
    if (strcmp(what, "write pool") == 0) syscall(SYS_write, POOL, &byte, 1);
    if (strcmp(what, "write stderr") == 0) syscall(SYS_write, STDERR, &byte, 1);
    if (strcmp(what, "clear pool") == 0) syscall(SYS_ioctl, POOL, RNDCLEARPOOL, 0);
    if (strcmp(what, "credit alone") == 0) syscall(SYS_ioctl, POOL, RNDADDTOENTCNT, &number);
    if (strcmp(what, "ioctl elsewhere") == 0) syscall(SYS_ioctl, REQUESTS, RNDGETENTCNT, &number);
    _exit(3);
}

static int wiped(void) {
    for (size_t i = 0; i < sizeof chunk; i++) if (((uint8_t *)&chunk)[i] != 0) return 0;
    return 1;
}

int main(int count, char **arguments) {
    int ends[2];
    if (count != 2) return 2;
    if (strcmp(arguments[1], "wipe") == 0) {
        /* POOL is not open here: what the kernel refused is wiped as well. */
        const struct request request = {.bytes = CHUNK_LIMIT_BYTES, .credit_bits = 8};
        memset(chunk.data, 0xa5, sizeof chunk.data);
        int error = add(&request);
        printf("errno %d, %s", error, wiped() ? "wiped" : "kept");
        return 0;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return 2;
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], REQUESTS);
        set_up();
        try(arguments[1]);
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status)) printf("signal %d", WTERMSIG(status));
    else printf("exit %d", WEXITSTATUS(status));
}
`;

const program = hasCompiler ? compileProgram(HARNESS) : '';
const SIGSYS = 31;

function attempt(what: string): string {
  return spawnSync(program, [what], { encoding: 'utf8' }).stdout;
}

const compiled = testWhen(hasCompiler && (process.arch === 'x64' || process.arch === 'arm64'));

for (const what of ['nothing', 'read request', 'write reply', 'count']) {
  compiled(`once set up it may: ${what}`, () => assert.is(attempt(what), 'exit 0'));
}

for (const what of [
  'getpid',
  'open',
  'socket',
  'clone',
  'read pool',
  'write pool',
  'write stderr',
  'clear pool',
  'credit alone',
  'ioctl elsewhere',
]) {
  compiled(`once set up it dies of: ${what}`, () => assert.is(attempt(what), `signal ${SIGSYS}`));
}

compiled('a payload is wiped after its ioctl, taken or refused', () => {
  assert.match(attempt('wipe'), /^errno [1-9]\d*, wiped$/);
});

test.run();
