/* CPUID, RDRAND and RDSEED. Architectures without them build, and say so. */
#include "addon.h"
#include "fill-words.h"

/* Tries per word: Intel's guide asks 10 for RDRAND; RDSEED may run dry under load, so its bound is only a bound. */
#define RDRAND_TRIES 10
#define RDSEED_TRIES 1024

struct cpu_identity {
    const char *architecture; /* as process.arch names it */
    char vendor[13];
    unsigned family, model, stepping;
    bool rdrand, rdseed;
};

#if defined(__x86_64__)
#include <cpuid.h>

/* CPUID leaf 1, eax. Display family and model: the extended fields count only from base families 15 and 6 on. */
static void decode_signature(struct cpu_identity *cpu, uint32_t eax) {
    const unsigned base_family = (eax >> 8) & 0xf;
    const bool has_extended_model = base_family == 0x6 || base_family == 0xf;
    cpu->family = base_family + (base_family == 0xf ? (eax >> 20) & 0xff : 0);
    cpu->model = ((eax >> 4) & 0xf) + (has_extended_model ? ((eax >> 16) & 0xf) << 4 : 0);
    cpu->stepping = eax & 0xf;
}

static struct cpu_identity identify_cpu(void) {
    struct cpu_identity cpu = {.architecture = "x64"};
    unsigned eax, ebx, ecx, edx;
    if (__get_cpuid(0, &eax, &ebx, &ecx, &edx)) {
        memcpy(cpu.vendor, &ebx, 4);
        memcpy(cpu.vendor + 4, &edx, 4);
        memcpy(cpu.vendor + 8, &ecx, 4);
    }
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx)) {
        decode_signature(&cpu, eax);
        cpu.rdrand = (ecx & (1u << 30)) != 0;
    }
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) cpu.rdseed = (ebx & (1u << 18)) != 0;
    return cpu;
}

/* 64-bit forms only: the shorter ones are the broken ones of AMD-SB-7055. */
static inline bool rdrand_word(uint64_t *word) {
    bool carry;
    __asm__ volatile("rdrand %q0" : "=r"(*word), "=@ccc"(carry));
    return carry;
}

static inline bool rdseed_word(uint64_t *word) {
    bool carry;
    __asm__ volatile("rdseed %q0" : "=r"(*word), "=@ccc"(carry));
    return carry;
}

static enum fill_fault fill_rdrand(uint8_t *target, size_t length, size_t *filled) {
    return fill_words(target, length, rdrand_word, RDRAND_TRIES, filled);
}

static enum fill_fault fill_rdseed(uint8_t *target, size_t length, size_t *filled) {
    return fill_words(target, length, rdseed_word, RDSEED_TRIES, filled);
}

#else

static struct cpu_identity identify_cpu(void) {
#if defined(__aarch64__)
    return (struct cpu_identity){.architecture = "arm64"};
#elif defined(__riscv) && __riscv_xlen == 64
    return (struct cpu_identity){.architecture = "riscv64"};
#elif defined(__powerpc64__)
    return (struct cpu_identity){.architecture = "ppc64"};
#elif defined(__s390x__)
    return (struct cpu_identity){.architecture = "s390x"};
#else
    return (struct cpu_identity){.architecture = "other"};
#endif
}

/* Never called: identify_cpu answers that the instructions do not exist. */
static enum fill_fault fill_rdrand(uint8_t *target, size_t length, size_t *filled) {
    memset(target, 0, length);
    *filled = 0;
    return FILL_UNAVAILABLE;
}

#define fill_rdseed fill_rdrand

#endif

void cpu_instructions(bool *rdrand, bool *rdseed) {
    struct cpu_identity cpu = identify_cpu();
    *rdrand = cpu.rdrand;
    *rdseed = cpu.rdseed;
}

static const char *fault_name(enum fill_fault fault) {
    switch (fault) {
    case FILL_NONE: return "none";
    case FILL_UNDERFLOW: return "underflow";
    case FILL_STUCK_WORD: return "stuck-word";
    case FILL_UNAVAILABLE: break;
    }
    return "unavailable";
}

/* (target: Uint8Array) -> {bytes, fault}; the part of the target beyond `bytes` is zero. */
static napi_value fill(napi_env env, napi_callback_info info, bool available,
                       enum fill_fault (*fill_target)(uint8_t *, size_t, size_t *)) {
    napi_value argument;
    struct bytes target;
    if (!take_arguments(env, info, 1, &argument)) return NULL;
    if (!bytes_argument(env, argument, 0, FILL_LIMIT_BYTES, &target)) return NULL;
    if (target.length % sizeof(uint64_t) != 0) {
        napi_throw_range_error(env, NULL, "length must be a multiple of 8");
        return NULL;
    }
    size_t filled = 0;
    enum fill_fault fault = FILL_UNAVAILABLE;
    if (available) {
        fault = fill_target(target.data, target.length, &filled);
    } else {
        memset(target.data, 0, target.length);
    }
    napi_value result = new_object(env);
    if (!set_property(env, result, "bytes", number_value(env, (double)filled))) return NULL;
    if (!set_text(env, result, "fault", fault_name(fault))) return NULL;
    return result;
}

napi_value rdrand_fill(napi_env env, napi_callback_info info) {
    return fill(env, info, instance_of(env)->rdrand, fill_rdrand);
}

napi_value rdseed_fill(napi_env env, napi_callback_info info) {
    return fill(env, info, instance_of(env)->rdseed, fill_rdseed);
}

/* () -> {architecture, vendor, family, model, stepping, rdrand, rdseed} */
napi_value cpu_report(napi_env env, napi_callback_info info) {
    (void)info;
    struct cpu_identity cpu = identify_cpu();
    napi_value report = new_object(env);
    bool complete = set_text(env, report, "architecture", cpu.architecture) &&
                    set_text(env, report, "vendor", cpu.vendor) &&
                    set_property(env, report, "family", number_value(env, cpu.family)) &&
                    set_property(env, report, "model", number_value(env, cpu.model)) &&
                    set_property(env, report, "stepping", number_value(env, cpu.stepping)) &&
                    set_property(env, report, "rdrand", boolean_value(env, cpu.rdrand)) &&
                    set_property(env, report, "rdseed", boolean_value(env, cpu.rdseed));
    return complete ? report : NULL;
}
