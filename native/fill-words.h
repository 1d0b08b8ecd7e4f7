/*
 * Filling memory from an instruction that gives 64 random bits and a carry flag. Kept apart from the instructions so
 * that tests can run it on a scripted source.
 */
#ifndef ENTROPY_MIXER_FILL_WORDS_H
#define ENTROPY_MIXER_FILL_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum fill_fault { FILL_NONE, FILL_UNDERFLOW, FILL_STUCK_WORD, FILL_UNAVAILABLE };

/* One try: true when the carry flag was set, and only then is *word random. */
typedef bool (*word_source)(uint64_t *word);

/* Lets the hardware generator, which all cores share, catch up between tries. */
static inline void pause_briefly(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static inline __attribute__((always_inline)) bool draw_word(word_source source, int tries, uint64_t *word) {
    for (int i = 0; i < tries; i++) {
        if (__builtin_expect(source(word), 1)) return true;
        pause_briefly();
    }
    return false;
}

static inline bool is_suspicious(uint64_t word) { return word == 0 || word == UINT64_MAX; }

/*
 * Known broken parts answer all zeros (AMD-SB-7055) or all ones (Zen 2 launch microcode) with the carry flag set.
 * A sound generator gives such a word once in 2^63, so one is read again; two in a row (2^-126) are a fault.
 * The one read again replaces the first: what that biases is 2^-63 of one word.
 *
 * Fills whole words, at any alignment, and zeroes what a fault left unfilled. always_inline, so that the source
 * becomes the instruction itself in the caller's loop.
 */
static inline __attribute__((always_inline)) enum fill_fault fill_words(uint8_t *target, size_t length,
                                                                       word_source source, int tries,
                                                                       size_t *filled) {
    enum fill_fault fault = FILL_NONE;
    size_t at = 0;
    for (; at + sizeof(uint64_t) <= length; at += sizeof(uint64_t)) {
        uint64_t word;
        bool drawn = draw_word(source, tries, &word);
        if (__builtin_expect(drawn && is_suspicious(word), 0)) {
            drawn = draw_word(source, tries, &word);
            if (drawn && is_suspicious(word)) {
                fault = FILL_STUCK_WORD;
                break;
            }
        }
        if (__builtin_expect(!drawn, 0)) {
            fault = FILL_UNDERFLOW;
            break;
        }
        memcpy(target + at, &word, sizeof word);
    }
    if (fault != FILL_NONE) memset(target + at, 0, length - at);
    *filled = at;
    return fault;
}

#endif
