/* SPDX-License-Identifier: GPL-2.0-only */
/* plot.c - miss-ratio curves as SVG: a panel for each trace, sizes on a logarithmic axis, each curve with its name. */
#include "study.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "tools/tool.h"

#define PANEL_W 640.0
#define PANEL_H 410.0
#define HEAD_H 92.0			/* title and two rows of legend, over the panels */
#define LEFT 62.0			/* around a panel's plot */
#define RIGHT 124.0
#define TOP 46.0
#define BOTTOM 66.0
#define LABEL_H 14.0
#define TICK_W 48.0			/* ticks closer than this are not labelled */
#define INK "#222222"
#define GREY "#666666"
#define GRID "#e2e2e2"

/* Told apart also by those who see few colours: M. Okabe, K. Ito, "Color universal design". */
static const char *const colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8b6d00"};

struct point {
	double x, y;			/* blocks, miss ratio; then pixels */
	bool mark;			/* of --sizes */
};

struct curve {
	const struct contender *contender;
	const char *colour;
	struct point *points;
	unsigned n;
	double label;			/* where its name goes */
};

struct panel {
	const struct options *o;
	const struct study *s;
	FILE *f;
	double left, top;		/* of the plot */
	double width, height;
	double low, high;		/* blocks at the ends of the axis */
	double y_max;
	struct curve curves[POLICIES_MAX];
};

static void text(FILE *f, double x, double y, const char *style, const char *words)
{
	fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" %s>", x, y, style);
	for (; *words; words++) {
		unsigned char c = (unsigned char)*words;

		if (c == '<' || c == '&' || c == '>')
			fprintf(f, "&#%d;", c);
		else
			putc(c < ' ' ? '?' : c, f);
	}
	fputs("</text>\n", f);
}

static const char *colour_of(const struct options *o, unsigned policy)
{
	unsigned n = 0;

	if (o->policies[policy]->wants_future)
		return "#000000";
	for (unsigned p = 0; p < policy; p++)
		n += !o->policies[p]->wants_future;
	return colours[n % ARRAY_LEN(colours)];
}

static const char *stroke_of(const struct contender *c)
{
	return c->standard ? "stroke-width=\"2.8\"" : c->wants_future ? "stroke-width=\"1.6\" stroke-dasharray=\"6 3\""
		: "stroke-width=\"1.6\"";
}

/* ------------------------------------------------------------------ where things are */
static double x_of(const struct panel *p, double blocks)
{
	if (p->high <= p->low)
		return p->left + p->width / 2;
	return p->left + p->width * log(blocks / p->low) / log(p->high / p->low);
}

static double y_of(const struct panel *p, double ratio)
{
	return p->top + p->height * (1 - ratio / p->y_max);
}

static int by_x(const void *a, const void *b)
{
	double x = ((const struct point *)a)->x, y = ((const struct point *)b)->x;

	return x < y ? -1 : x > y;
}

static void add_point(struct panel *p, struct curve *c, const struct job *job, bool is_marked)
{
	c->points[c->n++] = (struct point){job->capacity, miss_ratio(&job->result), is_marked};
	p->y_max = MAX(p->y_max, c->points[c->n - 1].y);
}

/* All curves, in blocks and ratios; that of the advice is finer than the others. */
static int gather(struct panel *p)
{
	const struct options *o = p->o;
	const struct study *s = p->s;

	p->low = p->high = s->jobs[0].capacity;
	for (unsigned i = 0; i < o->nsizes; i++) {
		p->low = MIN(p->low, s->jobs[i].capacity);
		p->high = MAX(p->high, s->jobs[i].capacity);
	}
	for (unsigned i = 0; i < o->npolicies; i++) {
		struct curve *c = &p->curves[i];

		*c = (struct curve){.contender = o->policies[i], .colour = colour_of(o, i)};
		c->points = calloc(o->nsizes + s->advice.npoints, sizeof(*c->points));
		if (!c->points)
			return -ENOMEM;
		for (unsigned k = 0; k < o->nsizes; k++)
			add_point(p, c, &s->jobs[i * o->nsizes + k], true);
		for (unsigned k = 0; c->contender == s->advice.contender && k < s->advice.npoints; k++)
			if (s->advice.curve[k].capacity > p->low && s->advice.curve[k].capacity < p->high)
				add_point(p, c, &s->advice.curve[k], false);
		qsort(c->points, c->n, sizeof(*c->points), by_x);
	}
	p->y_max = MIN(ceil(p->y_max * 10 + 0.01) / 10, 1);
	for (unsigned i = 0; i < o->npolicies; i++)
		for (unsigned k = 0; k < p->curves[i].n; k++) {
			struct point *at = &p->curves[i].points[k];

			at->x = x_of(p, at->x);
			at->y = y_of(p, at->y);
		}
	return 0;
}

/* Each name beside the end of its curve, and none over another: those too close push each other apart until none are,
 * or as far as the panel is high. */
static void place_labels(struct panel *p)
{
	double top = p->top + 4, bottom = p->top + p->height + 4;
	struct curve *order[POLICIES_MAX];
	unsigned n = p->o->npolicies;

	for (unsigned i = 0; i < n; i++) {
		struct curve *c = &p->curves[i];
		unsigned k = i;

		c->label = c->points[c->n - 1].y;
		for (; k && order[k - 1]->label > c->label; k--)
			order[k] = order[k - 1];
		order[k] = c;
	}
	for (unsigned round = 0; round < 200; round++) {
		for (unsigned i = 1; i < n; i++) {
			double lacks = LABEL_H - (order[i]->label - order[i - 1]->label);

			order[i - 1]->label -= MAX(lacks, 0) / 2;
			order[i]->label += MAX(lacks, 0) / 2;
		}
		order[0]->label = MAX(order[0]->label, top);
		order[n - 1]->label = MIN(order[n - 1]->label, bottom);
	}
}

/* ------------------------------------------------------------------ drawing */
static void draw_y_axis(struct panel *p)
{
	double step = p->y_max > 0.55 ? 0.2 : p->y_max > 0.25 ? 0.1 : 0.05;
	double middle = p->top + p->height / 2;
	char words[64];

	for (double v = 0; v < p->y_max + 1e-9; v += step) {
		fprintf(p->f, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>\n", p->left,
			y_of(p, v), p->left + p->width, y_of(p, v), v > 0 ? GRID : INK);
		snprintf(words, sizeof(words), "%.*f", step < 0.1 ? 2 : 1, v);
		text(p->f, p->left - 8, y_of(p, v) + 4, "text-anchor=\"end\" font-size=\"12\" fill=\"" INK "\"", words);
	}
	snprintf(words, sizeof(words), "text-anchor=\"middle\" font-size=\"12\" fill=\"%s\"", GREY);
	fprintf(p->f, "<g transform=\"rotate(-90 %.1f %.1f)\">", p->left - 42, middle);
	text(p->f, p->left - 42, middle, words, "miss ratio");
	fputs("</g>\n", p->f);
}

/* A tick at each size, as it was given and in bytes. */
static void draw_x_axis(struct panel *p)
{
	static const char style[] = "text-anchor=\"middle\" font-size=\"12\" fill=\"" INK "\"";
	static const char small[] = "text-anchor=\"middle\" font-size=\"11\" fill=\"" GREY "\"";
	double y = p->top + p->height, last = -1e9;
	struct point ticks[SIZES_MAX];
	unsigned n = p->o->nsizes;

	for (unsigned i = 0; i < n; i++)
		ticks[i] = (struct point){.x = x_of(p, p->s->jobs[i].capacity), .y = i};
	qsort(ticks, n, sizeof(*ticks), by_x);
	for (unsigned i = 0; i < n; i++) {
		const struct size *size = &p->o->sizes[(unsigned)ticks[i].y];
		char human[16];

		fprintf(p->f, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>\n", ticks[i].x, y,
			ticks[i].x, y + 5, INK);
		if (ticks[i].x - last < TICK_W)
			continue;
		last = ticks[i].x;
		out_human((uint64_t)size_blocks(size, p->s->trace) * BLK_BYTES, human);
		text(p->f, last, y + 19, style, size->text);
		if (size->percent > 0)
			text(p->f, last, y + 33, small, human);
	}
	text(p->f, p->left + p->width / 2, y + 53, small, "cache size (logarithmic; % of the different blocks)");
}

static void draw_curve(struct panel *p, const struct curve *c)
{
	const struct point *end = &c->points[c->n - 1];
	char style[96];

	fprintf(p->f, "<polyline fill=\"none\" stroke=\"%s\" %s stroke-linejoin=\"round\" points=\"", c->colour,
		stroke_of(c->contender));
	for (unsigned i = 0; i < c->n; i++)
		fprintf(p->f, "%.1f,%.1f ", c->points[i].x, c->points[i].y);
	fputs("\"/>\n", p->f);
	for (unsigned i = 0; i < c->n; i++)
		if (c->points[i].mark)
			fprintf(p->f, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%s\" fill=\"%s\"/>\n", c->points[i].x,
				c->points[i].y, c->contender->standard ? "3.4" : "2.6", c->colour);
	fprintf(p->f, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" stroke-width=\"0.8\"/>\n",
		end->x + 4, end->y, p->left + p->width + 15, c->label, c->colour);
	snprintf(style, sizeof(style), "font-size=\"12\" font-weight=\"%s\" fill=\"%s\"",
		 c->contender->standard ? "bold" : "normal", c->colour);
	text(p->f, p->left + p->width + 18, c->label + 4, style, c->contender->title);
}

static int draw_panel(struct panel *p)
{
	const struct trace *t = p->s->trace;
	char words[160], human[16];
	int rc = gather(p);

	if (rc == 0) {
		out_human((uint64_t)t->nunique * BLK_BYTES, human);
		text(p->f, p->left, p->top - 22, "font-size=\"15\" font-weight=\"bold\" fill=\"" INK "\"", t->name);
		snprintf(words, sizeof(words), "%.3g million blocks accessed, %.0f %% of requests write; %s different",
			 (double)t->naccesses / 1e6, 100 * (double)t->nwrites / (double)t->nrequests, human);
		text(p->f, p->left, p->top - 7, "font-size=\"12\" fill=\"" GREY "\"", words);
		draw_y_axis(p);
		draw_x_axis(p);
		place_labels(p);
		for (unsigned i = p->o->npolicies; i-- > 0;)	/* the product's are drawn last, on top */
			draw_curve(p, &p->curves[i]);
	}
	for (unsigned i = 0; i < p->o->npolicies; i++)
		free(p->curves[i].points);
	return rc;
}

static void draw_legend(FILE *f, const struct options *o, double width)
{
	double x = LEFT, y = 54;

	text(f, LEFT, 30, "font-size=\"18\" font-weight=\"bold\" fill=\"" INK "\"", "Miss ratio by cache size");
	for (unsigned i = 0; i < o->npolicies; i++) {
		const struct contender *c = o->policies[i];
		char words[64];

		snprintf(words, sizeof(words), "%s%s", c->title, c->standard ? " (Hybrid's)" : "");
		if (x + 32 + 7.0 * (double)strlen(words) > width && x > LEFT) {
			x = LEFT;
			y += 18;
		}
		fprintf(f, "<line x1=\"%.1f\" y1=\"%.0f\" x2=\"%.1f\" y2=\"%.0f\" stroke=\"%s\" %s/>\n", x, y, x + 26,
			y, colour_of(o, i), stroke_of(c));
		text(f, x + 32, y + 4, "font-size=\"12\" fill=\"" INK "\"", words);
		x += 50 + 7.0 * (double)strlen(words);
	}
}

static int draw(FILE *f, const struct options *o, const struct study *studies, unsigned n)
{
	unsigned columns = n > 1 ? 2 : 1, rows = (n + columns - 1) / columns;
	double w = columns * PANEL_W, h = HEAD_H + rows * PANEL_H;
	int rc = 0;

	fprintf(f, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" "
		"font-family=\"Helvetica, Arial, 'DejaVu Sans', sans-serif\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n", w, h, w, h);
	draw_legend(f, o, w);
	for (unsigned i = 0; i < n && rc == 0; i++) {
		struct panel p = {
			.o = o,
			.s = &studies[i],
			.f = f,
			.left = i % columns * PANEL_W + LEFT,
			.top = HEAD_H + i / columns * PANEL_H + TOP,
			.width = PANEL_W - LEFT - RIGHT,
			.height = PANEL_H - TOP - BOTTOM,
			.y_max = 0.1,
		};

		rc = draw_panel(&p);
	}
	fputs("</svg>\n", f);
	return rc;
}

int plot_svg(const struct options *o, const struct study *studies, unsigned n, const char *path)
{
	FILE *f = fopen(path, "we");
	int rc = f ? draw(f, o, studies, n) : -errno;

	if (f && ferror(f))
		rc = -EIO;
	if (f && fclose(f))
		rc = -errno;
	if (rc == 0)
		return EXIT_OK;
	fprintf(stderr, "hybrid-replay: %s: %s\n", path, strerror(-rc));
	return EXIT_FAILED;
}
