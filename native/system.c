/* System calls that Node does not offer: getrandom, flock, SO_PEERCRED, sd_notify, mlock, PR_SET_DUMPABLE, mallopt. */
#include "addon.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* Longest sd_notify message taken, in bytes: a few state lines. */
#define NOTIFY_MESSAGE_BYTES 4096
/* How long a full queue of the supervisor may hold us up. */
#define NOTIFY_TIMEOUT_MILLISECONDS 500

/* (target: Uint8Array): all of it from getrandom(2), flags 0: waits for the pool's initialisation once per boot */
napi_value system_random(napi_env env, napi_callback_info info) {
    napi_value argument;
    struct bytes target;
    if (!take_arguments(env, info, 1, &argument)) return NULL;
    if (!bytes_argument(env, argument, 0, FILL_LIMIT_BYTES, &target)) return NULL;
    for (size_t at = 0; at < target.length;) {
        ssize_t got = getrandom(target.data + at, target.length - at, 0);
        if (got > 0) {
            at += (size_t)got;
        } else if (got == 0 || errno != EINTR) {
            int error = got == 0 ? EIO : errno;
            explicit_bzero(target.data, target.length);
            return throw_system_error(env, "getrandom", error);
        }
    }
    return undefined_value(env);
}

/* (fd) -> false when another open file holds the lock */
napi_value system_flock_exclusive(napi_env env, napi_callback_info info) {
    napi_value argument;
    int64_t fd;
    if (!take_arguments(env, info, 1, &argument)) return NULL;
    if (!integer_argument(env, argument, "fd", 0, INT_MAX, &fd)) return NULL;
    int failed;
    do {
        failed = flock((int)fd, LOCK_EX | LOCK_NB);
    } while (failed != 0 && errno == EINTR);
    if (failed == 0) return boolean_value(env, true);
    return errno == EWOULDBLOCK ? boolean_value(env, false) : throw_system_error(env, "flock", errno);
}

/*
 * (fd) -> {pid, uid, gid} of the process that connected, or undefined. A socket without a peer, or of another family,
 * answers uid -1: that is nobody, not somebody.
 */
napi_value system_peer_credentials(napi_env env, napi_callback_info info) {
    napi_value argument;
    int64_t fd;
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (!take_arguments(env, info, 1, &argument)) return NULL;
    if (!integer_argument(env, argument, "fd", 0, INT_MAX, &fd)) return NULL;
    if (getsockopt((int)fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 || length != sizeof peer ||
        peer.uid == (uid_t)-1 || peer.gid == (gid_t)-1) {
        return undefined_value(env);
    }
    napi_value credentials = new_object(env);
    bool complete = set_property(env, credentials, "pid", number_value(env, peer.pid)) &&
                    set_property(env, credentials, "uid", number_value(env, peer.uid)) &&
                    set_property(env, credentials, "gid", number_value(env, peer.gid));
    return complete ? credentials : NULL;
}

/* $NOTIFY_SOCKET as systemd gives it: an absolute path, or '@' and an abstract name. vsock addresses are not taken. */
static bool notify_address(const char *path, size_t length, struct sockaddr_un *address, socklen_t *address_length) {
    if (length < 2 || length >= sizeof address->sun_path || (path[0] != '/' && path[0] != '@')) return false;
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, path, length);
    if (path[0] == '@') address->sun_path[0] = '\0';
    /* A path ends with its NUL; an abstract name is exactly as long as told. */
    *address_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (path[0] == '/' ? 1 : 0));
    return true;
}

static bool send_datagram(const struct sockaddr_un *address, socklen_t address_length, const char *message,
                          size_t length) {
    const struct timeval timeout = {.tv_usec = NOTIFY_TIMEOUT_MILLISECONDS * 1000};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    ssize_t sent = -1;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) == 0) {
        sent = sendto(fd, message, length, MSG_NOSIGNAL, (const struct sockaddr *)address, address_length);
    }
    close(fd);
    return sent >= 0 && (size_t)sent == length;
}

/* (socketPath, message) -> false when nobody takes it */
napi_value system_notify(napi_env env, napi_callback_info info) {
    napi_value arguments[2];
    char path[PATH_MAX];
    char message[NOTIFY_MESSAGE_BYTES + 1];
    size_t path_length, message_length;
    struct sockaddr_un address;
    socklen_t address_length;
    if (!take_arguments(env, info, 2, arguments)) return NULL;
    if (!text_argument(env, arguments[0], "socketPath", path, sizeof path, &path_length)) return NULL;
    if (!text_argument(env, arguments[1], "message", message, sizeof message, &message_length)) return NULL;
    return boolean_value(env, notify_address(path, path_length, &address, &address_length) &&
                                  send_datagram(&address, address_length, message, message_length));
}

/* (bytes: Uint8Array) -> whether its pages now stay in memory, out of swap, until they are unmapped */
napi_value system_lock_memory(napi_env env, napi_callback_info info) {
    napi_value argument;
    struct bytes bytes;
    if (!take_arguments(env, info, 1, &argument)) return NULL;
    if (!bytes_argument(env, argument, 0, SIZE_MAX >> 1, &bytes)) return NULL;
    return boolean_value(env, mlock(bytes.data, bytes.length) == 0);
}

/* () -> whether core dumps and ptrace by the same user are now refused */
napi_value system_forbid_dump(napi_env env, napi_callback_info info) {
    const struct rlimit none = {0, 0};
    (void)info;
    bool limited = setrlimit(RLIMIT_CORE, &none) == 0;
    return boolean_value(env, prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 && limited);
}

/*
 * () -> whether the allocator overwrites from now on what is given back to it; false where it cannot. Node copies what it decrypts and what
 * goes between its threads, and frees those copies as they are. glibc leaves blocks of up to 1 KiB in a cache of the thread, which are used
 * again soon, and the last 8 bytes of others.
 */
napi_value system_overwrite_freed(napi_env env, napi_callback_info info) {
    (void)info;
#ifdef M_PERTURB
    /* Freed memory becomes this byte, and new memory its complement: zeros. */
    return boolean_value(env, mallopt(M_PERTURB, 0xff) == 1);
#else
    return boolean_value(env, false);
#endif
}
