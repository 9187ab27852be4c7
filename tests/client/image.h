/* SPDX-License-Identifier: GPL-2.0-only */
/* image.h - what the blocks of a volume or snapshot should hold: a tag for each, 0 for zeros; tags are never given out
 * twice, and grow. A block of data is a stamp of its place and tag, and a filling computed from them. */
#ifndef TEST_IMAGE_H
#define TEST_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#define IMAGE_BLOCK 4096u
#define IMAGE_SECTORS (IMAGE_BLOCK / 512u)
#define IMAGE_NAME_MAX 63

struct image {
	char name[IMAGE_NAME_MAX + 1];
	uint32_t blocks;
	uint32_t *tags;
};

/* The image of that name, made if there is none. Ends the program when memory or room is out. */
struct image *image_get(const char *name);
/* Makes it longer (by zeros) or shorter. */
void image_resize(struct image *im, uint32_t blocks);
/* All of `from`. */
void image_copy(struct image *im, const struct image *from);
uint32_t image_new_tag(void);

void image_fill(void *block, uint32_t place, uint32_t tag);
bool image_holds(const void *block, uint32_t place, uint32_t tag);
/* The tag of a block of this place, UINT32_MAX: it is neither zeros nor a whole block that was written here. */
uint32_t image_tag_of(const void *block, uint32_t place);

#endif
