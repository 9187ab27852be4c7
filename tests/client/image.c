/* SPDX-License-Identifier: GPL-2.0-only */
/* image.c - see image.h. */
#include "tests/client/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

#define IMAGES_MAX 512
#define STAMP_MAGIC 0x6547614d496e3b71ull

struct stamp {
	uint64_t magic, place, tag;
	uint64_t filling[509];
};
_Static_assert(sizeof(struct stamp) == IMAGE_BLOCK, "a stamp fills its block");

static struct image images[IMAGES_MAX];
static uint32_t last_tag;

struct image *image_get(const char *name)
{
	for (unsigned i = 0; i < IMAGES_MAX; i++) {
		if (!images[i].name[0])
			snprintf(images[i].name, sizeof(images[i].name), "%s", name);
		if (!strcmp(images[i].name, name))
			return &images[i];
	}
	fprintf(stderr, "too many images\n");
	exit(2);
}

void image_resize(struct image *im, uint32_t blocks)
{
	im->tags = realloc(im->tags, (blocks + 1) * sizeof(*im->tags));
	if (!im->tags)
		abort();
	for (uint32_t i = im->blocks; i < blocks; i++)
		im->tags[i] = 0;
	im->blocks = blocks;
}

void image_copy(struct image *im, const struct image *from)
{
	image_resize(im, from->blocks);
	memcpy(im->tags, from->tags, from->blocks * sizeof(*im->tags));
}

uint32_t image_new_tag(void)
{
	return ++last_tag;
}

void image_fill(void *block, uint32_t place, uint32_t tag)
{
	struct stamp *s = block;
	struct rng r;

	memset(s, 0, sizeof(*s));
	if (!tag)
		return;
	*s = (struct stamp){.magic = STAMP_MAGIC, .place = place, .tag = tag};
	r.s = hash64((uint64_t)place << 32 | tag);
	for (unsigned i = 0; i < sizeof(s->filling) / sizeof(s->filling[0]); i++)
		s->filling[i] = rng_next(&r);
}

bool image_holds(const void *block, uint32_t place, uint32_t tag)
{
	struct stamp want;

	image_fill(&want, place, tag);
	return !memcmp(block, &want, sizeof(want));
}

uint32_t image_tag_of(const void *block, uint32_t place)
{
	struct stamp s;

	memcpy(&s, block, sizeof(s));
	if (image_holds(block, place, (uint32_t)s.tag))
		return (uint32_t)s.tag;
	return UINT32_MAX;
}
