/* SPDX-License-Identifier: GPL-2.0-only */
/* http_rig.h - a server over daemon/http with workers and handlers of its own, and a client that sends raw bytes.
 *
 * Paths it answers: /echo...: "METHOD PATH QUERY LENGTH SUM\n"; /fields: the header X-Two; /gate: as /echo, after
 * rig_open(); /park: as /echo, by rig_answer_parked() (no worker waits for that); /big: as many bytes as the query
 * says; /who: "PEER ROOT PIN LISTENER\n"; /split: tries to answer with a header of two lines; all else: 404.
 */
#ifndef HB_TESTS_DAEMON_HTTP_RIG_H
#define HB_TESTS_DAEMON_HTTP_RIG_H

#include <pthread.h>
#include <stdbool.h>

#include "box/identity.h"
#include "http/http.h"
#include "suites.h"
#include "tests/unit/scratch.h"

#define RIG_WORKERS 8
#define RIG_PARKED 2048

struct rig_job {
	void (*fn)(void *arg);
	void *arg;
	struct rig_job *next;
};

struct rig {
	struct http *h;
	char dir[SCRATCH_PATH_MAX], sock[64], key[64], cert[64], pin[IDENTITY_PIN_MAX];
	void (*handle)(void *ctx, struct http_request *r); /* for what begins with /v1/ */
	pthread_t worker[RIG_WORKERS];
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct rig_job *jobs, **last;
	bool ending, open;
	unsigned called, gated, parked; /* requests that got to a handler; that are at the gate; that are kept */
	struct http_request *park[RIG_PARKED];
};

/* Folder, identity and workers; no server yet. */
void rig_begin(struct rig *g);
void rig_end(struct rig *g); /* and its server */
/* One listener on 127.0.0.1, plain. */
void rig_serve(struct rig *g, const struct http_limits *limits);
/* On 127.0.0.1 with TLS; port 0: any. */
void rig_serve_tls(struct rig *g, const struct http_limits *limits, bool ask_key, uint16_t port);
int rig_serve_these(struct rig *g, const struct http_listen *l, unsigned n, const struct http_limits *limits,
		    struct err *err);
void rig_stop(struct rig *g); /* the server */
void rig_open(struct rig *g, bool open);
void rig_answer_parked(struct rig *g);
unsigned rig_called(struct rig *g);
/* Until so many are at the gate, or kept; false after a long time. */
bool rig_wait_gated(struct rig *g, unsigned n);
bool rig_wait_parked(struct rig *g, unsigned n);
/* Until the server keeps so many connections and no requests. */
bool rig_wait_idle(struct rig *g, unsigned connections);

/* ---------------------------------------------------------------- raw clients; all wait 30 s at most */
int raw_tcp(uint16_t port);
int raw_unix(const char *path);
void raw_send(int fd, const char *data, size_t len);
void raw_say(int fd, const char *text);
/* One whole answer into buf: its status, or 0 if the connection ended before one. The answer to HEAD has no body. */
int raw_answer(int fd, bool head, char *buf, size_t room);
/* Whether the other end closes without another byte. */
bool raw_ended(int fd);
/* All on one connection that is made for it: the first status. */
int raw_ask(uint16_t port, const char *text, char *buf, size_t room);

#endif
