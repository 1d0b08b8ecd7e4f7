import { spawnSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { hasCompiler, testWhen } from '../requirements.ts';
import { compileProgram } from './compile.ts';

/**
 * native/fill-words.h on a scripted instruction. The script is one letter per try: `-` carry clear, `0` all zeros,
 * `1` all ones, anything else a word of that letter; it repeats its last letter for ever.
 */
const HARNESS = `
#include <stdio.h>
#include <stdlib.h>
#include "fill-words.h"

static const char *script;
static int tries_made;

static bool scripted(uint64_t *word) {
    char step = *script;
    if (script[1] != '\\0') script++;
    tries_made++;
    memset(word, step == '0' ? 0 : step == '1' ? 0xff : step, sizeof *word);
    return step != '-';
}

int main(int count, char **arguments) {
    if (count != 4) return 2;
    script = arguments[1];
    size_t length = strtoul(arguments[2], NULL, 10);
    int tries = atoi(arguments[3]);
    uint8_t memory[256];
    memset(memory, 'x', sizeof memory);
    size_t filled;
    /* One byte in: the target may stand at any address. */
    enum fill_fault fault = fill_words(memory + 1, length, scripted, tries, &filled);
    printf("%d %zu %d ", fault, filled, tries_made);
    for (size_t i = 1; i <= length; i += 8) putchar(memory[i] ? memory[i] : '.');
    printf(" %c%c", memory[0], memory[length + 1]);
}
`;

interface Outcome {
  fault: string;
  bytes: number;
  tries: number;
  words: string;
}

const program = hasCompiler ? compileProgram(HARNESS) : '';

function fill(script: string, words: number, tries: number): Outcome {
  const answer = spawnSync(program, [script, String(words * 8), String(tries)], { encoding: 'utf8' });
  const [fault = '', bytes = '', made = '', memory = '', around = ''] = answer.stdout.split(' ');
  assert.is(around, 'xx', 'nothing is written around the target');
  const names = ['none', 'underflow', 'stuck-word', 'unavailable'];
  return { fault: names[Number(fault)] ?? '', bytes: Number(bytes), tries: Number(made), words: memory };
}

const compiled = testWhen(hasCompiler);

compiled('takes one try per word when the carry flag is set', () => {
  assert.equal(fill('abcd', 4, 10), { fault: 'none', bytes: 32, tries: 4, words: 'abcd' });
});

compiled('tries a word again while the carry flag is clear, up to its bound', () => {
  assert.equal(fill('-a--b', 2, 3), { fault: 'none', bytes: 16, tries: 5, words: 'ab' });
  assert.equal(fill(`${'-'.repeat(9)}a`, 1, 10), { fault: 'none', bytes: 8, tries: 10, words: 'a' });
});

compiled('underflows at exactly the bound, keeps what it has and zeroes the rest', () => {
  assert.equal(fill(`${'-'.repeat(10)}a`, 1, 10), { fault: 'underflow', bytes: 0, tries: 10, words: '.' });
  assert.equal(fill('ab-', 4, 1024), { fault: 'underflow', bytes: 16, tries: 1026, words: 'ab..' });
});

compiled('reads an all-zero or all-one word again, and takes what comes then', () => {
  assert.equal(fill('a0bc', 3, 10), { fault: 'none', bytes: 24, tries: 4, words: 'abc' });
  assert.equal(fill('1a0b', 2, 10), { fault: 'none', bytes: 16, tries: 4, words: 'ab' });
});

compiled('a second all-zero or all-one word in a row is a fault, whichever of the two', () => {
  for (const stuck of ['00', '11', '01', '10']) {
    assert.equal(fill(`a${stuck}b`, 3, 10), { fault: 'stuck-word', bytes: 8, tries: 3, words: 'a..' });
  }
});

compiled('the word read again has its own tries, and a clear carry flag is not a stuck word', () => {
  assert.equal(fill('0--0', 2, 3), { fault: 'stuck-word', bytes: 0, tries: 4, words: '..' });
  assert.equal(fill('0--a', 1, 3), { fault: 'none', bytes: 8, tries: 4, words: 'a' });
  assert.equal(fill('0---a', 1, 3), { fault: 'underflow', bytes: 0, tries: 4, words: '.' });
});

test.run();
