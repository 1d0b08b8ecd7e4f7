/*
 * kernel-writer: the only process of the daemon that holds CAP_SYS_ADMIN, and all it can do with it is add bytes to
 * the kernel's entropy pool (RNDADDENTROPY), ask for a reseed (RNDRESEEDCRNG) and read the pool's count
 * (RNDGETENTCNT), on request of the process that started it.
 *
 * Requests come over the Unix stream socket inherited as descriptor 3, in this host's byte order: both ends are here.
 *
 *   request  magic u32 | operation u32 | bytes u32 | creditBits u32 | bytes x u8
 *   reply    magic u32 | operation u32 | errno i32 (0: done) | entropyBefore i32 | entropyAfter i32
 *
 *   operation  1 add (1 to 4,096 bytes, creditBits <= 8 x bytes)   2 reseed   3 query   (2 and 3: both numbers 0)
 *
 * The kernel compares creditBits with nothing, so it is done here; and it may mix a longer chunk in part when a signal
 * comes (a page at a time), hence 4,096. A request outside these rules is answered EINVAL and ends the process, since
 * its sender is broken. End of file ends it too: 0 between requests, 65 within one. It ignores the signals of a
 * terminal or supervisor, so that the last feed of an orderly stop goes through, and dies with the thread that started it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/random.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef RNDRESEEDCRNG
#define RNDRESEEDCRNG _IO('R', 0x07)
#endif

#define STDERR 2
#define REQUESTS 3
#define POOL 4

#define MAGIC 0x31574b45u /* "EKW1" */
#define CHUNK_LIMIT_BYTES 4096u

enum { OPERATION_ADD = 1, OPERATION_RESEED = 2, OPERATION_QUERY = 3 };
enum { EXIT_DONE = 0, EXIT_NOT_SET_UP = 71, EXIT_PROTOCOL = 65, EXIT_IO = 74 };

struct request {
    uint32_t magic, operation, bytes, credit_bits;
};
struct reply {
    uint32_t magic, operation;
    int32_t error, entropy_before, entropy_after;
};

/* Laid out as struct rand_pool_info; page-aligned, so that locking it locks nothing else. */
static struct {
    int32_t credit_bits;
    int32_t bytes;
    uint8_t data[CHUNK_LIMIT_BYTES];
} chunk __attribute__((aligned(4096)));

static void set_up(void);
static _Noreturn void serve(void);

int main(void) {
    set_up();
    serve();
}

/* ------------------------------------------------------------------------------------------- serving requests -- */

/* _exit, not exit: nothing is buffered, and the filter below allows nothing more. */
static _Noreturn void end(int code) {
    explicit_bzero(&chunk, sizeof chunk);
    _exit(code);
}

/* Ends the process at end of file, told apart by whether a request had begun. */
static void read_fully(void *target, size_t length, int code_at_end) {
    for (size_t at = 0; at < length;) {
        ssize_t got = read(REQUESTS, (uint8_t *)target + at, length - at);
        if (got > 0) {
            at += (size_t)got;
        } else if (got == 0) {
            end(at == 0 ? code_at_end : EXIT_PROTOCOL);
        } else if (errno != EINTR) {
            end(errno == ECONNRESET ? code_at_end : EXIT_IO);
        }
    }
}

static void write_reply(const struct reply *reply) {
    for (size_t at = 0; at < sizeof *reply;) {
        ssize_t put = write(REQUESTS, (const uint8_t *)reply + at, sizeof *reply - at);
        if (put > 0) {
            at += (size_t)put;
        } else if (put == 0 || errno != EINTR) {
            end(put < 0 && errno == EPIPE ? EXIT_DONE : EXIT_IO);
        }
    }
}

static int is_within_rules(const struct request *request) {
    if (request->magic != MAGIC) return 0;
    switch (request->operation) {
    case OPERATION_ADD:
        return request->bytes >= 1 && request->bytes <= CHUNK_LIMIT_BYTES &&
               request->credit_bits <= 8 * request->bytes;
    case OPERATION_RESEED:
    case OPERATION_QUERY:
        return request->bytes == 0 && request->credit_bits == 0;
    default:
        return 0;
    }
}

static int32_t entropy_count(void) {
    int count = -1;
    return ioctl(POOL, RNDGETENTCNT, &count) == 0 ? count : -1;
}

static int32_t add(const struct request *request) {
    chunk.credit_bits = (int32_t)request->credit_bits;
    chunk.bytes = (int32_t)request->bytes;
    int32_t error = ioctl(POOL, RNDADDENTROPY, &chunk) == 0 ? 0 : errno;
    explicit_bzero(&chunk, sizeof chunk);
    return error;
}

static int32_t reseed(void) { return ioctl(POOL, RNDRESEEDCRNG, 0) == 0 ? 0 : errno; }

static _Noreturn void serve(void) {
    for (;;) {
        struct request request;
        read_fully(&request, sizeof request, EXIT_DONE);
        struct reply reply = {.magic = MAGIC, .operation = request.operation, .error = EINVAL};
        if (!is_within_rules(&request)) {
            reply.entropy_before = reply.entropy_after = -1;
            write_reply(&reply);
            end(EXIT_PROTOCOL);
        }
        read_fully(chunk.data, request.bytes, EXIT_PROTOCOL);
        reply.entropy_before = entropy_count();
        reply.error = request.operation == OPERATION_ADD      ? add(&request)
                      : request.operation == OPERATION_RESEED ? reseed()
                                                              : 0;
        reply.entropy_after = entropy_count();
        write_reply(&reply);
    }
}

/* ------------------------------------------------------------------------------------------- giving up powers -- */

/* Whatever cannot be given up ends the process: the daemon then feeds without credit, and says so. */
static _Noreturn void refuse(const char *step) {
    dprintf(STDERR, "kernel-writer: %s: %s\n", step, strerror(errno));
    _exit(EXIT_NOT_SET_UP);
}

static void close_all_but_three(void) {
    if (syscall(SYS_close_range, POOL, ~0u, 0) != 0) {
        struct rlimit limit;
        if (getrlimit(RLIMIT_NOFILE, &limit) != 0) refuse("getrlimit");
        for (rlim_t fd = POOL; fd < limit.rlim_cur && fd < 1048576; fd++) close((int)fd);
    }
}

static void open_pool(void) {
    close(0);
    close(1);
    int fd = open("/dev/random", O_RDWR | O_CLOEXEC);
    if (fd < 0) refuse("/dev/random");
    if (dup3(fd, POOL, O_CLOEXEC) != POOL) refuse("dup3");
    close(fd);
}

/*
 * The bounding set needs CAP_SETPCAP, so it goes first; where that is missing, no_new_privs makes it moot. The ambient
 * set is never more than the inheritable one, so it empties with it.
 */
static void keep_only_sys_admin(void) {
    for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++) {
        if (capability != CAP_SYS_ADMIN) prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    }

    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    if (syscall(SYS_capget, &header, data) != 0) refuse("capget");
    data[0].permitted &= 1u << CAP_SYS_ADMIN;
    data[0].effective = data[0].permitted;
    data[0].inheritable = 0;
    memset(&data[1], 0, sizeof data[1]);
    if (syscall(SYS_capset, &header, data) != 0) refuse("capset");
}

static void filter_system_calls(void);

static void set_up(void) {
    const pid_t parent = getppid();
    struct stat status;
    if (fstat(REQUESTS, &status) != 0 || !S_ISSOCK(status.st_mode)) {
        errno = ENOTSOCK;
        refuse("descriptor 3, started by entropyd only");
    }
    fcntl(REQUESTS, F_SETFL, fcntl(REQUESTS, F_GETFL) & ~O_NONBLOCK);
    close_all_but_three();
    open_pool();
    umask(077);

    const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGUSR1, SIGUSR2};
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) signal(ignored[i], SIG_IGN);

    const struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0) refuse("setrlimit");
    if (mlock(&chunk, sizeof chunk) != 0) dprintf(STDERR, "kernel-writer: memory not locked: %s\n", strerror(errno));

    keep_only_sys_admin();
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) refuse("no_new_privs");
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) refuse("dumpable");
    /* After the change of capabilities, which could clear it. If the parent died before: see the comparison. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) refuse("pdeathsig");
    if (getppid() != parent) _exit(EXIT_DONE);
    filter_system_calls();
}

/* ---------------------------------------------------------------------------------------- the system call filter -- */

#if defined(__x86_64__)
#define AUDIT_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define AUDIT_ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#ifdef AUDIT_ARCHITECTURE

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
/* The low half of an argument: descriptors and ioctl numbers are 32 bits wide to the kernel. */
#define LOAD_ARGUMENT(index) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[index]))
#define IF_EQUAL(value, matched, other) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, matched, other)
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define KILL BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)

/*
 * read(3), write(3), the three ioctls on 4, exit_group, rt_sigreturn; all else kills the process. Calls of x32 have
 * bit 30 in their number, so none of them equals one of these.
 */
static void filter_system_calls(void) {
    struct sock_filter program[] = {
        LOAD(arch),
        IF_EQUAL(AUDIT_ARCHITECTURE, 1, 0),
        KILL,
        LOAD(nr),
        IF_EQUAL(SYS_exit_group, 2, 0),
        IF_EQUAL(SYS_rt_sigreturn, 1, 0),
        IF_EQUAL(SYS_ioctl, 5, 1),
        ALLOW,
        IF_EQUAL(SYS_read, 1, 0),
        IF_EQUAL(SYS_write, 0, 9),
        LOAD_ARGUMENT(0),
        IF_EQUAL(REQUESTS, 6, 7),
        LOAD_ARGUMENT(0),
        IF_EQUAL(POOL, 0, 5),
        LOAD_ARGUMENT(1),
        IF_EQUAL(RNDADDENTROPY, 2, 0),
        IF_EQUAL(RNDGETENTCNT, 1, 0),
        IF_EQUAL(RNDRESEEDCRNG, 0, 1),
        ALLOW,
        KILL,
    };
    const struct sock_fprog filter = {.len = sizeof program / sizeof *program, .filter = program};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) != 0) refuse("seccomp");
}

#else

static void filter_system_calls(void) {
    dprintf(STDERR, "kernel-writer: no system call filter for this architecture\n");
}

#endif
