/*
 * Results already noted. Keys are hashes with a secret: otherwise a program could use two names with one hash to hide
 * one of them. Memory is bounded: once the table is full, further results are only counted.
 */
#define _GNU_SOURCE
#include "observer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Keys of 8 bytes each; at most 32 MiB. */
enum { FIRST_PLACES = 1 << 12, MOST_PLACES = 1 << 22 };
/* The lowest bits of a key hold its results. */
enum { RESULT_BITS = FOUND | ABSENT | DENIED | CREATED };

static uint64_t *table;
static size_t places, used;
static uint64_t secret[2];

#define ROTATE(x, b) (((x) << (b)) | ((x) >> (64 - (b))))
#define ROUND                                                                                         \
	do {                                                                                         \
		v0 += v1, v1 = ROTATE(v1, 13) ^ v0, v0 = ROTATE(v0, 32);                             \
		v2 += v3, v3 = ROTATE(v3, 16) ^ v2;                                                  \
		v0 += v3, v3 = ROTATE(v3, 21) ^ v0;                                                  \
		v2 += v1, v1 = ROTATE(v1, 17) ^ v2, v2 = ROTATE(v2, 32);                             \
	} while (0)

/* SipHash-1-3 (Aumasson, Bernstein). */
static uint64_t hash(uint64_t seed, const char *text)
{
	size_t length = strlen(text), left = length;
	uint64_t v0 = secret[0] ^ 0x736f6d6570736575, v1 = secret[1] ^ 0x646f72616e646f6d;
	uint64_t v2 = secret[0] ^ seed ^ 0x6c7967656e657261, v3 = secret[1] ^ 0x7465646279746573;
	uint64_t word;

	for (; left >= sizeof(word); left -= sizeof(word), text += sizeof(word)) {
		memcpy(&word, text, sizeof(word));
		v3 ^= word;
		ROUND;
		v0 ^= word;
	}
	word = (uint64_t)length << 56;
	for (size_t i = 0; i < left; i++)
		word |= (uint64_t)(unsigned char)text[i] << 8 * i;
	v3 ^= word;
	ROUND;
	v0 ^= word;
	v2 ^= 0xff;
	ROUND;
	ROUND;
	ROUND;
	return v0 ^ v1 ^ v2 ^ v3;
}

static uint64_t *place_of(uint64_t key)
{
	size_t place = (key >> 4) & (places - 1);
	while (table[place] != 0 && (table[place] & ~(uint64_t)RESULT_BITS) != key)
		place = (place + 1) & (places - 1);
	return &table[place];
}

/* Returns false at the maximum size. */
static bool grow(void)
{
	size_t before = places;
	uint64_t *old = table, *larger = NULL;

	if (places < MOST_PLACES)
		larger = calloc(places > 0 ? places * 2 : FIRST_PLACES, sizeof(*table));
	if (larger == NULL)
		return false;
	table = larger;
	places = before > 0 ? before * 2 : FIRST_PLACES;
	for (size_t i = 0; i < before; i++)
		if (old[i] != 0)
			*place_of(old[i] & ~(uint64_t)RESULT_BITS) = old[i];
	free(old);
	return true;
}

uint64_t seen_key(const char *what, const char *program, const struct root *root, const char *path)
{
	if (table == NULL && (getrandom(secret, sizeof(secret), 0) != sizeof(secret) || !grow()))
		die("prepare its memory");
	/* Programs and roots are identified by their addresses. */
	uint64_t seed = hash((uintptr_t)program * 31 + (uintptr_t)root, what);
	uint64_t key = hash(seed, path) & ~(uint64_t)RESULT_BITS;
	/* 0 marks an empty slot. */
	return key != 0 ? key : RESULT_BITS + 1;
}

unsigned int seen(uint64_t key)
{
	return (unsigned int)*place_of(key) & RESULT_BITS;
}

bool note_seen(uint64_t key, enum result result)
{
	uint64_t *place = place_of(key);
	if (*place == 0) {
		/* Never full, so that every search ends. */
		if (used >= places / 4 * 3) {
			if (!grow()) {
				counters[DROPPED]++;
				return false;
			}
			place = place_of(key);
		}
		used++;
		*place = key;
	}
	if (*place & result)
		return false;
	*place |= result;
	return true;
}
