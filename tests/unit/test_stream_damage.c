/* SPDX-License-Identifier: GPL-2.0-only */
/* test_stream_damage.c - streams with flipped bits, with frames missing, swapped, twice or of another stream, and
 * forged ones: all refused, and nothing is left of them.
 */
#include <errno.h>

#include "stream_rig.h"
#include "suites.h"

/* The stream without its first `cut` bytes from `at` on, and with `more` bytes put there. */
static struct pipe spliced(const struct pipe *p, size_t at, size_t cut, const uint8_t *more, size_t nmore)
{
	struct pipe n = {.bytes = malloc(p->len + nmore), .len = p->len - cut + nmore};

	memcpy(n.bytes, p->bytes, at);
	if (nmore)
		memcpy(n.bytes + at, more, nmore);
	memcpy(n.bytes + at + nmore, p->bytes + at + cut, p->len - at - cut);
	return n;
}

/* A small stream of every kind of frame: from "one" to "two" of a volume of 64 KiB, and b has "one". */
static struct pipe small_stream(void)
{
	struct err err = ERR_INIT;
	struct pipe p;

	pools_open();
	CHECK(hb_volume_create(a.pool, "v", KIB(64), &err) == 0);
	put(&a, "v", 0, KIB(48), 1);
	snap(&a, "v", "one", false);
	put(&a, "v", KIB(4), KIB(8), 2);
	unmap(&a, "v", KIB(20), KIB(4));
	put(&a, "v", KIB(60), KIB(4), 3);
	unmap(&a, "v", 0, KIB(4));
	snap(&a, "v", "two", false);
	p = export(&a, "one", NULL);
	import(&p, NULL, 0);
	free(p.bytes);
	p = export(&a, "two", "one");
	CHECK(frames_of(&p) == 5);
	return p;
}

static void end_small_stream(struct pipe *p)
{
	b_has(1, 0);
	same("one", "one");
	import(p, NULL, 0);
	same("two", "two");
	free(p->bytes);
	pools_close();
}

static void flip(struct pipe *p, size_t bit)
{
	struct err err;

	unit_step = bit;
	p->bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	try_import(&b, p, NULL, 0, &err);
	CHECK(err.code == -EBADMSG || (err.code == -EPROTONOSUPPORT && bit / 8 < 12));
	b_has(1, 0);
	p->bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	for (int i = 0; i < 30; i++)	/* deleting ends */
		ram_pool_wait(&b, hb_pool_run(b.pool));
}

static void test_bits(void)
{
	struct pipe p = small_stream();
	struct rng rng = unit_rng();

	for (size_t bit = 0; bit < (WIRE_HEADER_BYTES + WIRE_FRAME_BYTES) * 8; bit++)
		flip(&p, bit);
	for (size_t bit = (p.len - WIRE_FRAME_BYTES) * 8; bit < p.len * 8; bit++)
		flip(&p, bit);
	for (int i = 0; i < 2000; i++)
		flip(&p, rng_below(&rng, p.len * 8));
	end_small_stream(&p);
}

static void refuse_spliced(const struct pipe *p, size_t at, size_t cut, const uint8_t *more, size_t nmore,
			   const char *words)
{
	struct pipe bad = spliced(p, at, cut, more, nmore);

	refused(&bad, NULL, 0, -EBADMSG, words);
	b_has(1, 0);
	free(bad.bytes);
}

static void test_frames(void)
{
	struct pipe p = small_stream(), other = export(&a, "two", NULL);
	const uint8_t *foreign = other.bytes + frame_at(&other, 0);
	unsigned n = frames_of(&p);

	for (unsigned i = 0; i < n; i++) {
		size_t at = frame_at(&p, i), len = frame_bytes(&p, at), next = at + len;

		unit_step = i;
		if (i + 1 < n) {	/* without its end it is cut, not damaged */
			refuse_spliced(&p, at, len, NULL, 0, " comes where ");
			refuse_spliced(&p, at, 0, p.bytes + next, frame_bytes(&p, next), " comes where ");
		}
		refuse_spliced(&p, next, 0, p.bytes + at, len,
			       i + 1 < n ? " comes where " : "something follows its end");
		refuse_spliced(&p, at, 0, foreign, frame_bytes(&other, WIRE_HEADER_BYTES), "belongs to another stream");
	}
	for (size_t cut = 1; cut < 40; cut += 7)
		refuse_spliced(&p, p.len, 0, p.bytes, cut, "something follows its end");
	free(other.bytes);
	end_small_stream(&p);
}

/* Damage takes away what an earlier attempt left, too. */
static void test_damage_after_cut(void)
{
	struct pipe p = small_stream();
	size_t len = p.len, at = frame_at(&p, 2) + 20;

	p.len = frame_at(&p, 2);
	refused(&p, NULL, 0, -EPIPE, "the stream ends too early");
	b_has(1, 1);
	p.len = len;
	p.bytes[at] ^= 16;
	refused(&p, NULL, RESUME, -EBADMSG, "the stream is damaged: bad checksum of frame 2");
	b_has(1, 0);
	p.bytes[at] ^= 16;
	end_small_stream(&p);
}

/* A stream by hand: right checksums, and whatever frames. */
struct forged {
	struct pipe pipe;
	struct wire_run run;
};

static void forge_begin(struct forged *f, const struct wire_header *h)
{
	*f = (struct forged){.pipe = {.bytes = calloc(1, MIB(4)), .len = WIRE_HEADER_BYTES}};
	f->run.stream = wire_put_header(h, f->pipe.bytes);
}

static void forge(struct forged *f, enum wire_kind kind, uint64_t off, uint64_t len)
{
	struct wire_frame frame = {kind, off, len, 0};
	uint8_t *at = f->pipe.bytes + f->pipe.len;
	size_t data = kind == WIRE_DATA ? MIN(len, MIB(2)) : 0;

	if (kind == WIRE_DATA)
		frame.check = wire_data_check(at + WIRE_FRAME_BYTES, data);
	wire_put_frame(&f->run, &frame, at);
	f->pipe.len += WIRE_FRAME_BYTES + data;
}

static void test_forged_frames(void)
{
	static const struct { unsigned kind, kind2; uint64_t off, len, off2, len2; const char *why; } bad[] = {
		{WIRE_DATA, WIRE_DATA, KIB(8), KIB(4), 0, KIB(4), "the frames do not ascend"},
		{WIRE_HOLE, WIRE_DATA, KIB(8), KIB(8), KIB(12), KIB(4), "the frames do not ascend"},
		{WIRE_DATA, WIRE_HOLE, 0, KIB(4), KIB(60), KIB(8), "a frame lies behind the volume's end"},
		{WIRE_DATA, WIRE_HOLE, 0, KIB(4), -KIB(4), KIB(8), "a frame lies behind the volume's end"},
		{WIRE_DATA, WIRE_DATA, 0, KIB(4), KIB(64), KIB(4), "a frame lies behind the volume's end"},
		{WIRE_DATA, WIRE_HOLE, 0, KIB(4), KIB(8), 0, "a frame has no possible length"},
		{WIRE_DATA, WIRE_HOLE, 0, KIB(4), KIB(8), 512, "a frame has no possible length"},
		{WIRE_DATA, WIRE_HOLE, 0, KIB(4), KIB(8) + 512, KIB(4), "a frame has no possible length"},
		{WIRE_DATA, WIRE_DATA, 0, KIB(4), KIB(4), MIB(1) + KIB(4), "a frame has no possible length"},
		{WIRE_DATA, WIRE_DATA, 0, KIB(4), KIB(4), KIB(8), "more data came than was announced"},
		{WIRE_DATA, 0, 0, KIB(4), KIB(4), KIB(4), "a frame is of no known kind"},
		{WIRE_DATA, WIRE_END, 0, KIB(4), 0, 0, "it ends before all has come"},
	};
	struct wire_header h = {.content = {1}, .name = "forged", .size_bytes = KIB(64), .data_bytes = KIB(8)};

	pools_open();
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct forged f;

		unit_step = i;
		forge_begin(&f, &h);
		forge(&f, bad[i].kind, bad[i].off, bad[i].len);
		forge(&f, bad[i].kind2, bad[i].off2, bad[i].len2);
		refused(&f.pipe, NULL, 0, -EBADMSG, bad[i].why);
		b_has(0, 0);
		free(f.pipe.bytes);
	}
	/* All that is checked by itself is right, but the frames are not those that the end knows. */
	for (int wrong = 0; wrong < 2; wrong++) {
		struct forged f;

		forge_begin(&f, &h);
		forge(&f, WIRE_DATA, 0, KIB(8));
		f.run.chain ^= (uint32_t)wrong;
		forge(&f, WIRE_END, 0, 0);
		if (wrong)
			refused(&f.pipe, NULL, 0, -EBADMSG, "the checksum over all frames is wrong");
		else
			import(&f.pipe, NULL, 0);
		free(f.pipe.bytes);
		if (!wrong)
			drop(&b, "forged");
	}
	b_has(0, 0);
	pools_close();
}

static void test_forged_headers(void)
{
	const struct wire_header good = {.content = {1}, .name = "forged", .size_bytes = KIB(64)};
	struct wire_header bad[8];
	struct forged f;

	pools_open();
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		bad[i] = good;
	bad[0].content[0] = 0;
	bad[1].base[0] = 1;
	bad[2].size_bytes = 0;
	bad[3].size_bytes += 512;
	bad[4].size_bytes = HB_VOLUME_BYTES_MAX + KIB(4);
	bad[5].data_bytes = KIB(68);
	bad[6].name[0] = '\0';
	bad[7].name[3] = '/';
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		unit_step = i;
		forge_begin(&f, &bad[i]);
		forge(&f, WIRE_END, 0, 0);
		refused(&f.pipe, NULL, 0, -EBADMSG, "the stream's header makes no sense: ");
		b_has(0, 0);
		free(f.pipe.bytes);
	}
	forge_begin(&f, &good);
	forge(&f, WIRE_END, 0, 0);
	f.pipe.bytes[8] = 2;
	refused(&f.pipe, NULL, 0, -EPROTONOSUPPORT, "the stream is of version 2, and this program knows 1");
	f.pipe.bytes[8] = 1;
	f.pipe.bytes[0] = 'X';
	refused(&f.pipe, NULL, 0, -EBADMSG, "this is no stream of a snapshot");
	f.pipe.bytes[0] = 'H';
	import(&f.pipe, NULL, 0);
	free(f.pipe.bytes);
	/* The largest volume, and a hole over all of it. */
	forge_begin(&f, &(struct wire_header){.content = {2}, .name = "large", .size_bytes = HB_VOLUME_BYTES_MAX});
	forge(&f, WIRE_HOLE, 0, HB_VOLUME_BYTES_MAX);
	forge(&f, WIRE_END, 0, 0);
	import(&f.pipe, NULL, 0);
	free(f.pipe.bytes);
	b_has(2, 0);
	pools_close();
}

static CU_TestInfo stream_damage_tests[] = {
	{"bits", test_bits},
	{"frames", test_frames},
	{"damage_after_cut", test_damage_after_cut},
	{"forged_frames", test_forged_frames},
	{"forged_headers", test_forged_headers},
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_stream_damage = {"stream_damage", stream_damage_tests};
