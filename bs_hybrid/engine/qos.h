/* SPDX-License-Identifier: GPL-2.0-only */
/* qos.h - who may go on: the ceilings of a volume (qos.c), and turns between volumes that compete (turns.c). Part of
 * pool.h.
 */
#ifndef HB_ENGINE_QOS_H
#define HB_ENGINE_QOS_H

#include "engine/engine.h"

struct fetch;

/* A ceiling: when what went through is paid for. */
struct bucket {
	uint64_t at_ns, part; /* and part/rate ns */
};

/* The ceilings of one volume, and the requests that wait for them, in their order. */
struct limits {
	bool on; /* it has some */
	struct link link; /* in pool->limited, if any wait */
	struct link reqs;
	struct bucket ios, bytes;
};

/* Where volumes wait for turns at something. */
struct turns {
	struct link flows; /* of volumes with requests that wait here */
	uint64_t now; /* virtual time: the start tag of what was served last */
};

/* One volume there. */
struct flow {
	struct link link; /* in turns->flows */
	struct link reqs;
	uint64_t start, finish; /* tags: of the first one that waits; of the last one that was served */
};

/* Reading from the capacity device, where volumes take turns. */
struct read_turns {
	struct turns turns;
	uint32_t reads; /* device reads that are out */
	uint32_t given; /* turns given in this pass, and not used yet */
	uint32_t readers; /* volumes that have reads out */
};

/* ---------------------------------------------------------------- qos.c */
void limits_init(struct hb_volume *v); /* also when its attributes have changed */
/* True: the request may go on, and is paid for. False: it waits. Only if v->limits.on. */
bool limits_pass(struct hb_req *r);
/* Nobody waits for a ceiling any more: the volume is being closed. */
void limits_let_go(struct hb_volume *v);
uint64_t limits_pump(struct hb_pool *p); /* returns when to come again */

/* ---------------------------------------------------------------- turns.c */
void turns_init(struct turns *t);
void flow_init(struct flow *f);
void flow_fini(struct flow *f); /* nobody waits in it */
void turns_wait(struct turns *t, struct flow *f, struct hb_req *r);
/* Whose turn it is, or NULL: nobody waits. */
struct flow *turns_next(struct turns *t);
/* Serves something of that cost, which was first in its flow or waited for nobody. */
void turns_pay(struct turns *t, struct flow *f, uint32_t share, uint64_t cost);
void turns_wake_all(struct turns *t);

/* Whether the request may read this block from the capacity device now. False: starve() makes it wait for its turn. */
bool read_turn(struct hb_req *r, pblk_t b);
/* The fetch began, or has ended (any fetch may be told of). */
void read_begun(struct hb_req *r, struct fetch *f);
void read_ended(struct hb_pool *p, struct fetch *f);
void read_wait(struct hb_req *r);
void read_pump(struct hb_pool *p);

#endif
