/*
 * The addon's table of functions, and the life of one instance of it. Everything it does for JavaScript is in
 * cpu.c, interrupts.c, system.c and uevents.c; src/hardware/addon.ts is the only caller.
 */
#include "addon.h"

#include <stdlib.h>

static const struct {
    const char *name;
    napi_callback call;
} FUNCTIONS[] = {
    {"cpu", cpu_report},
    {"rdrandFill", rdrand_fill},
    {"rdseedFill", rdseed_fill},
    {"interruptsStart", interrupts_start},
    {"interruptsTake", interrupts_take},
    {"interruptsStatus", interrupts_status},
    {"interruptsStop", interrupts_stop},
    {"getrandom", system_random},
    {"flockExclusive", system_flock_exclusive},
    {"peerCredentials", system_peer_credentials},
    {"sdNotify", system_notify},
    {"lockMemory", system_lock_memory},
    {"forbidDump", system_forbid_dump},
    {"overwriteFreed", system_overwrite_freed},
    {"ueventOpen", uevent_open},
    {"ueventReceive", uevent_receive},
    {"ueventClose", uevent_close},
};

/*
 * Runs when the environment ends, for a terminated worker too: no thread of ours may outlive the code it runs, because
 * Node unloads the addon with the last environment that used it.
 */
static void destroy_instance(napi_env env, void *data, void *hint) {
    (void)env;
    (void)hint;
    struct instance *instance = data;
    collector_destroy(instance->collector);
    uevent_socket_close(instance);
    free(instance);
}

static struct instance *create_instance(napi_env env) {
    struct instance *instance = calloc(1, sizeof *instance);
    if (instance == NULL) return NULL;
    cpu_instructions(&instance->rdrand, &instance->rdseed);
    instance->uevent_socket = -1;
    instance->collector = collector_create();
    if (instance->collector == NULL) {
        free(instance);
        return NULL;
    }
    if (napi_set_instance_data(env, instance, destroy_instance, NULL) != napi_ok) {
        destroy_instance(env, instance, NULL);
        return NULL;
    }
    return instance;
}

struct instance *instance_of(napi_env env) {
    void *data = NULL;
    if (napi_get_instance_data(env, &data) != napi_ok || data == NULL) abort();
    return data;
}

NAPI_MODULE_INIT() {
    if (create_instance(env) == NULL) {
        napi_throw_error(env, "ENOMEM", "the addon could not be set up");
        return NULL;
    }
    for (size_t i = 0; i < sizeof FUNCTIONS / sizeof *FUNCTIONS; i++) {
        napi_value function;
        if (napi_create_function(env, FUNCTIONS[i].name, NAPI_AUTO_LENGTH, FUNCTIONS[i].call, NULL, &function) !=
            napi_ok) {
            return NULL;
        }
        if (!set_property(env, exports, FUNCTIONS[i].name, function)) return NULL;
    }
    return exports;
}
