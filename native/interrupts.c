/*
 * The interrupt collector: a thread that times interruptions of itself.
 *
 * In short bursts it reads the CPU's counter back to back. A step much longer than a read takes means that something
 * else ran on this core in between: an interrupt (or, in a virtual machine, an exit to the hypervisor: whoever credits
 * these samples must bound their number by /proc/interrupts). Between bursts it sleeps, so that it takes at most
 * `duty_permille` of one core; while its ring is full it only waits. The lock is held neither in bursts nor in sleep.
 *
 * The symbol is 8 of the low bits of the time. Three recordings of 20,000 events each (gaps over 3,000 ticks; duty 5, 5
 * and 20 %; AMD EPYC guest, 2.445 GHz counter in steps of 24 or 25 ticks, 94 to 327 events a second), most-common-value
 * estimate of SP 800-90B 6.3.1, which is about 7.3 bits for so many perfect ones:
 *
 *   symbol_shift                  0          2          4          6          8          10
 *   bits per symbol       7.23-7.28  7.24-7.26  7.16-7.31  7.29-7.30  7.28-7.30  7.21-7.34
 *   of the difference     7.21-7.25  7.23-7.30  7.19-7.34  7.19-7.29  7.00-7.21  6.22-7.09
 *
 * The second row takes each symbol minus the one before: from shift 8 on the period of the timer shows. Shift 2 keeps
 * well below that and above the counter's finest steps. The health tests claim 0.5 bit and credit is 1 bit per 64
 * events: the margin is for hosts that were not recorded, whose counters may be coarser (aarch64: down to 1 MHz).
 */
#include "addon.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NANOSECONDS_PER_SECOND 1000000000LL
#define NANOSECONDS_PER_MICROSECOND 1000LL
#define PERMILLE 1000

/* Counter reads between two looks at the clock: a few microseconds, which bounds how far a burst overruns. */
#define READS_PER_ROUND 256
/* A burst that sees this many events ends early. */
#define BURST_EVENTS_LIMIT 256
/* Nothing deep runs in the thread; the C library's thread data must fit too. */
#define STACK_BYTES (256 * 1024)

struct collector_options {
    int64_t duty_permille, burst_microseconds, gap_cycles, symbol_shift, capacity;
};

struct interrupt_collector {
    struct collector_options options; /* fixed while the thread runs */
    bool started;                     /* the thread is to be joined; used by the JavaScript side alone */
    pthread_t thread;

    pthread_mutex_t lock; /* guards all that follows */
    pthread_cond_t changed; /* stop was asked, or a full ring has room again */
    bool stop_asked;
    bool running;
    uint8_t *ring;
    size_t first, held;
    uint64_t events, dropped;
    int last_error;
};

static int64_t monotonic_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * NANOSECONDS_PER_SECOND + now.tv_nsec;
}

/* The finest counter that user space may read: its unit is the CPU's own affair. */
static inline uint64_t counter_ticks(void) {
#if defined(__x86_64__) || defined(__i386__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
    return (uint64_t)monotonic_nanoseconds();
#endif
}

/* ------------------------------------------------------------------------------------------------ the thread -- */

/* Watches for burst_microseconds; answers the number of symbols. The clock's own reads are outside the comparison. */
static size_t watch(const struct collector_options *options, uint8_t *symbols) {
    const uint64_t gap = (uint64_t)options->gap_cycles;
    const int64_t end = monotonic_nanoseconds() + options->burst_microseconds * NANOSECONDS_PER_MICROSECOND;
    size_t count = 0;
    do {
        uint64_t previous = counter_ticks();
        for (int i = 0; i < READS_PER_ROUND; i++) {
            uint64_t now = counter_ticks();
            if (now - previous > gap) {
                symbols[count++] = (uint8_t)(now >> options->symbol_shift);
                if (count == BURST_EVENTS_LIMIT) return count;
                now = counter_ticks();
            }
            previous = now;
        }
    } while (monotonic_nanoseconds() < end);
    return count;
}

static void keep(struct interrupt_collector *collector, const uint8_t *symbols, size_t count) {
    const size_t capacity = (size_t)collector->options.capacity;
    collector->events += count;
    for (size_t i = 0; i < count; i++) {
        if (collector->held == capacity) {
            collector->dropped += count - i;
            return;
        }
        collector->ring[(collector->first + collector->held++) % capacity] = symbols[i];
    }
}

/* With the lock held: waits while the ring is full. False when the thread is to end. */
static bool wait_for_room(struct interrupt_collector *collector) {
    while (!collector->stop_asked && collector->held == (size_t)collector->options.capacity) {
        int error = pthread_cond_wait(&collector->changed, &collector->lock);
        if (error != 0) {
            collector->last_error = error;
            return false;
        }
    }
    return !collector->stop_asked;
}

/* With the lock held: sleeps for what the duty leaves of a burst's time. False when the thread is to end. */
static bool rest(struct interrupt_collector *collector) {
    const struct collector_options *options = &collector->options;
    const int64_t burst = options->burst_microseconds * NANOSECONDS_PER_MICROSECOND;
    const int64_t end =
        monotonic_nanoseconds() + burst * (PERMILLE - options->duty_permille) / options->duty_permille;
    const struct timespec deadline = {.tv_sec = (time_t)(end / NANOSECONDS_PER_SECOND),
                                      .tv_nsec = (long)(end % NANOSECONDS_PER_SECOND)};
    int error = 0;
    while (!collector->stop_asked && error == 0) {
        error = pthread_cond_timedwait(&collector->changed, &collector->lock, &deadline);
    }
    if (error != 0 && error != ETIMEDOUT) {
        collector->last_error = error;
        return false;
    }
    return !collector->stop_asked;
}

static void *collect(void *argument) {
    struct interrupt_collector *collector = argument;
    uint8_t symbols[BURST_EVENTS_LIMIT];
    pthread_mutex_lock(&collector->lock);
    while (wait_for_room(collector)) {
        pthread_mutex_unlock(&collector->lock);
        size_t count = watch(&collector->options, symbols);
        pthread_mutex_lock(&collector->lock);
        keep(collector, symbols, count);
        explicit_bzero(symbols, sizeof symbols);
        if (!rest(collector)) break;
    }
    collector->running = false;
    pthread_mutex_unlock(&collector->lock);
    return NULL;
}

/* ------------------------------------------------------------------------------------------------ its owner -- */

struct interrupt_collector *collector_create(void) {
    struct interrupt_collector *collector = calloc(1, sizeof *collector);
    pthread_condattr_t attributes;
    if (collector == NULL) return NULL;
    pthread_mutex_init(&collector->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&collector->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    return collector;
}

/* The thread takes no signal: they are the process's own affair. Answers 0 or an errno. */
static int create_thread(struct interrupt_collector *collector) {
    sigset_t all, before;
    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);
    if (error != 0) return error;
    error = pthread_attr_setstacksize(&attributes, STACK_BYTES);
    if (error == 0) {
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        error = pthread_create(&collector->thread, &attributes, collect, collector);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    pthread_attr_destroy(&attributes);
    return error;
}

static int collector_start(struct interrupt_collector *collector, const struct collector_options *options) {
    if (collector->started) return EBUSY;
    collector->ring = calloc((size_t)options->capacity, 1);
    if (collector->ring == NULL) return ENOMEM;
    collector->options = *options;
    collector->first = collector->held = 0;
    collector->events = collector->dropped = 0;
    collector->last_error = 0;
    collector->stop_asked = false;
    collector->running = true;
    int error = create_thread(collector);
    if (error == 0) {
        collector->started = true;
    } else {
        collector->running = false;
        collector->last_error = error;
        free(collector->ring);
        collector->ring = NULL;
    }
    return error;
}

static size_t collector_take(struct interrupt_collector *collector, uint8_t *target, size_t length) {
    if (!collector->started) return 0;
    const size_t capacity = (size_t)collector->options.capacity;
    pthread_mutex_lock(&collector->lock);
    const bool was_full = collector->held == capacity;
    const size_t count = length < collector->held ? length : collector->held;
    for (size_t i = 0; i < count; i++) {
        target[i] = collector->ring[collector->first];
        collector->ring[collector->first] = 0;
        collector->first = (collector->first + 1) % capacity;
    }
    collector->held -= count;
    if (was_full && count > 0) pthread_cond_signal(&collector->changed);
    pthread_mutex_unlock(&collector->lock);
    return count;
}

static void collector_stop(struct interrupt_collector *collector) {
    if (!collector->started) return;
    pthread_mutex_lock(&collector->lock);
    collector->stop_asked = true;
    pthread_cond_signal(&collector->changed);
    pthread_mutex_unlock(&collector->lock);
    pthread_join(collector->thread, NULL);
    collector->started = false;
    explicit_bzero(collector->ring, (size_t)collector->options.capacity);
    free(collector->ring);
    collector->ring = NULL;
    collector->first = collector->held = 0;
}

void collector_destroy(struct interrupt_collector *collector) {
    collector_stop(collector);
    pthread_cond_destroy(&collector->changed);
    pthread_mutex_destroy(&collector->lock);
    free(collector);
}

/* ------------------------------------------------------------------------------------ what JavaScript calls -- */

/* ({dutyPermille, burstMicroseconds, gapCycles, symbolShift, capacity}): ranges as in src/hardware/hardware.ts. */
napi_value interrupts_start(napi_env env, napi_callback_info info) {
    napi_value argument;
    struct collector_options options;
    if (!take_arguments(env, info, 1, &argument)) return NULL;
    if (!integer_property(env, argument, "dutyPermille", 1, PERMILLE, &options.duty_permille) ||
        !integer_property(env, argument, "burstMicroseconds", 10, 10000, &options.burst_microseconds) ||
        !integer_property(env, argument, "gapCycles", 100, 1000000, &options.gap_cycles) ||
        !integer_property(env, argument, "symbolShift", 0, 24, &options.symbol_shift) ||
        !integer_property(env, argument, "capacity", 64, 1048576, &options.capacity)) {
        return NULL;
    }
    int error = collector_start(instance_of(env)->collector, &options);
    return error == 0 ? undefined_value(env) : throw_system_error(env, "interruptsStart", error);
}

/* (target: Uint8Array) -> symbols copied, oldest first */
napi_value interrupts_take(napi_env env, napi_callback_info info) {
    napi_value argument;
    struct bytes target;
    if (!take_arguments(env, info, 1, &argument)) return NULL;
    if (!bytes_argument(env, argument, 0, SIZE_MAX >> 1, &target)) return NULL;
    return number_value(env, (double)collector_take(instance_of(env)->collector, target.data, target.length));
}

/* () -> {running, events, dropped, lastError} */
napi_value interrupts_status(napi_env env, napi_callback_info info) {
    (void)info;
    struct interrupt_collector *collector = instance_of(env)->collector;
    pthread_mutex_lock(&collector->lock);
    const bool running = collector->running;
    const uint64_t events = collector->events;
    const uint64_t dropped = collector->dropped;
    const int last_error = collector->last_error;
    pthread_mutex_unlock(&collector->lock);

    napi_value status = new_object(env);
    bool complete = set_property(env, status, "running", boolean_value(env, running)) &&
                    set_property(env, status, "events", number_value(env, (double)events)) &&
                    set_property(env, status, "dropped", number_value(env, (double)dropped)) &&
                    set_property(env, status, "lastError", number_value(env, last_error));
    return complete ? status : NULL;
}

/* (): returns once the thread has ended and the ring is wiped */
napi_value interrupts_stop(napi_env env, napi_callback_info info) {
    (void)info;
    collector_stop(instance_of(env)->collector);
    return undefined_value(env);
}
