/* The kernel's uevents (NETLINK_KOBJECT_UEVENT). Others may send to that group as well: only the kernel is heard. */
#include "addon.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The multicast group of the kernel's own messages; udev's go to group 2. */
#define KERNEL_GROUP 1
/* The kernel's variables fit 2,048 bytes (UEVENT_BUFFER_SIZE); `ACTION@path` stands before them. */
#define MESSAGE_BYTES_MINIMUM 4096
/* Messages of others dropped in one call, before it gives up until the next. */
#define FOREIGN_MESSAGES_LIMIT 64

static int open_socket(void) {
    const int on = 1;
    const struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP};
    int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
    if (fd < 0) return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Port 0 and process 0 are the kernel; neither can be forged by a process without CAP_SYS_ADMIN. */
static bool is_from_kernel(const struct sockaddr_nl *sender, struct msghdr *message) {
    if (message->msg_namelen != sizeof *sender || sender->nl_pid != 0) return false;
    for (struct cmsghdr *control = CMSG_FIRSTHDR(message); control != NULL; control = CMSG_NXTHDR(message, control)) {
        if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_CREDENTIALS) continue;
        if (control->cmsg_len < CMSG_LEN(sizeof(struct ucred))) return false;
        struct ucred credentials;
        memcpy(&credentials, CMSG_DATA(control), sizeof credentials);
        return credentials.pid == 0 && credentials.uid == 0;
    }
    return false;
}

enum receipt { RECEIPT_NONE, RECEIPT_FOREIGN, RECEIPT_KERNEL };

static enum receipt receive_one(int fd, struct bytes target, size_t *length) {
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(struct ucred))];
    } control;
    struct sockaddr_nl sender;
    struct iovec part = {.iov_base = target.data, .iov_len = target.length};
    struct msghdr message = {.msg_name = &sender,
                             .msg_namelen = sizeof sender,
                             .msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.space,
                             .msg_controllen = sizeof control.space};
    ssize_t got = recvmsg(fd, &message, MSG_DONTWAIT);
    /* ENOBUFS tells that messages were lost, once: the next call reads on. */
    if (got < 0) return errno == ENOBUFS || errno == EINTR ? RECEIPT_FOREIGN : RECEIPT_NONE;
    if (got == 0 || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) return RECEIPT_FOREIGN;
    if (!is_from_kernel(&sender, &message)) return RECEIPT_FOREIGN;
    *length = (size_t)got;
    return RECEIPT_KERNEL;
}

void uevent_socket_close(struct instance *instance) {
    if (instance->uevent_socket >= 0) close(instance->uevent_socket);
    instance->uevent_socket = -1;
}

/* () -> false when the kernel refuses; opening what is open does nothing */
napi_value uevent_open(napi_env env, napi_callback_info info) {
    (void)info;
    struct instance *instance = instance_of(env);
    if (instance->uevent_socket < 0) instance->uevent_socket = open_socket();
    return boolean_value(env, instance->uevent_socket >= 0);
}

/* (target: Uint8Array of at least 4,096 bytes) -> bytes of one message, 0 when none waits or the socket is closed */
napi_value uevent_receive(napi_env env, napi_callback_info info) {
    napi_value argument;
    struct bytes target;
    size_t length = 0;
    if (!take_arguments(env, info, 1, &argument)) return NULL;
    if (!bytes_argument(env, argument, MESSAGE_BYTES_MINIMUM, SIZE_MAX >> 1, &target)) return NULL;
    const int fd = instance_of(env)->uevent_socket;
    enum receipt receipt = fd < 0 ? RECEIPT_NONE : RECEIPT_FOREIGN;
    for (int i = 0; i < FOREIGN_MESSAGES_LIMIT && receipt == RECEIPT_FOREIGN; i++) {
        receipt = receive_one(fd, target, &length);
    }
    return number_value(env, receipt == RECEIPT_KERNEL ? (double)length : 0);
}

/* () */
napi_value uevent_close(napi_env env, napi_callback_info info) {
    (void)info;
    uevent_socket_close(instance_of(env));
    return undefined_value(env);
}
