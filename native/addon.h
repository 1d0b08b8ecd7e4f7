/*
 * What the parts of the addon share: the state of one instance, the checks every argument passes, and the functions
 * that JavaScript calls. Bad arguments throw TypeError or RangeError and change nothing.
 */
#ifndef ENTROPY_MIXER_ADDON_H
#define ENTROPY_MIXER_ADDON_H

#ifndef NAPI_VERSION
#define NAPI_VERSION 8
#endif

#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longest single fill of a caller's buffer, in bytes; src/hardware/hardware.ts names it FILL_LIMIT_BYTES. */
#define FILL_LIMIT_BYTES 65536u

struct interrupt_collector;

/* One per environment: the main thread and each worker that loads the addon have their own. */
struct instance {
    bool rdrand, rdseed; /* asked once: CPUID costs a microsecond and more inside a virtual machine */
    struct interrupt_collector *collector;
    int uevent_socket; /* -1 while closed */
};

struct instance *instance_of(napi_env env);

/* arguments.c: each answers false with an exception pending. */
struct bytes {
    uint8_t *data; /* never NULL */
    size_t length;
};
bool take_arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values);
bool bytes_argument(napi_env env, napi_value value, size_t minimum, size_t maximum, struct bytes *bytes);
bool integer_argument(napi_env env, napi_value value, const char *name, int64_t minimum, int64_t maximum,
                      int64_t *integer);
bool integer_property(napi_env env, napi_value object, const char *name, int64_t minimum, int64_t maximum,
                      int64_t *integer);
bool text_argument(napi_env env, napi_value value, const char *name, char *text, size_t capacity, size_t *length);

/* arguments.c: what goes back. An operational failure is an Error with an `errno` property. */
napi_value boolean_value(napi_env env, bool boolean);
napi_value number_value(napi_env env, double number);
napi_value undefined_value(napi_env env);
napi_value new_object(napi_env env);
bool set_property(napi_env env, napi_value object, const char *name, napi_value value);
bool set_text(napi_env env, napi_value object, const char *name, const char *text);
napi_value throw_system_error(napi_env env, const char *call, int error);

/* cpu.c */
void cpu_instructions(bool *rdrand, bool *rdseed);
napi_value cpu_report(napi_env env, napi_callback_info info);
napi_value rdrand_fill(napi_env env, napi_callback_info info);
napi_value rdseed_fill(napi_env env, napi_callback_info info);

/* interrupts.c */
struct interrupt_collector *collector_create(void);
void collector_destroy(struct interrupt_collector *collector);
napi_value interrupts_start(napi_env env, napi_callback_info info);
napi_value interrupts_take(napi_env env, napi_callback_info info);
napi_value interrupts_status(napi_env env, napi_callback_info info);
napi_value interrupts_stop(napi_env env, napi_callback_info info);

/* system.c */
napi_value system_random(napi_env env, napi_callback_info info);
napi_value system_flock_exclusive(napi_env env, napi_callback_info info);
napi_value system_peer_credentials(napi_env env, napi_callback_info info);
napi_value system_notify(napi_env env, napi_callback_info info);
napi_value system_lock_memory(napi_env env, napi_callback_info info);
napi_value system_forbid_dump(napi_env env, napi_callback_info info);
napi_value system_overwrite_freed(napi_env env, napi_callback_info info);

/* uevents.c */
void uevent_socket_close(struct instance *instance);
napi_value uevent_open(napi_env env, napi_callback_info info);
napi_value uevent_receive(napi_env env, napi_callback_info info);
napi_value uevent_close(napi_env env, napi_callback_info info);

#endif
