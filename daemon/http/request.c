/* SPDX-License-Identifier: GPL-2.0-only */
/* request.c - a request's way: its line, its parts, its handler, its answer, its end.
 *
 * A request that is refused (limits, lengths) is read to its end and thrown away where that is not much, so that the
 * client gets to read the answer and its connection lives on; otherwise the answer ends the connection.
 *
 * Crash story of http_answer(): the worker writes down the response, then resumes the connection; from that moment
 * libmicrohttpd's thread may send it, end the request and free it. So the worker touches only http afterwards, and
 * http_free() waits for the counts that fall last.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/units.h"
#include "http/priv.h"

#define DRAIN_TIMES 4 /* a body of up to so many times the limit is read to its end */
#define BODY_FIRST 4096
#define LARGE_ANSWER (64u << 10)

/* ---------------------------------------------------------------- the request line and the headers */

void *request_line(void *port, const char *target, struct MHD_Connection *m)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(m, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct conn *c = info ? info->socket_context : NULL;
	struct http_request *r = c && target ? calloc(1, sizeof(*r)) : NULL;
	struct port *p = port;

	if (!r)
		return NULL;
	r->path = strdup(target);
	if (!r->path) {
		free(r);
		return NULL;
	}
	r->raw = target;
	r->raw_len = strlen(target);
	r->query = strchr(r->path, '?');
	if (r->query)
		*r->query++ = '\0';
	else
		r->query = r->path + r->raw_len;
	r->port = p;
	r->conn = c;
	r->mhd = m;
	pthread_mutex_lock(&p->http->lock);
	p->http->usage.requests++;
	pthread_mutex_unlock(&p->http->lock);
	conn_set(c, CONN_RECEIVING, 0);
	return r;
}

static void refuse(struct http_request *r, unsigned status, unsigned retry_s)
{
	if (!r->refuse) {
		r->refuse = status;
		r->retry_s = retry_s;
	}
}

/* RFC 9110, 5.6.2. A name that is none ("Content-Length " with its blank) is read otherwise by others. */
static bool is_token(const char *s, size_t len)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < len; i++)
		if (!s[i] || !((s[i] >= '0' && s[i] <= '9') || ((s[i] | 0x20) >= 'a' && (s[i] | 0x20) <= 'z') ||
			       strchr(others, s[i])))
			return false;
	return len > 0;
}

static enum MHD_Result keep_field(void *req, enum MHD_ValueKind kind, const char *name, size_t name_len,
				  const char *value, size_t value_len)
{
	struct http_request *r = req;

	(void)kind;
	if (!is_token(name, name_len) || (value && strlen(value) != value_len)) {
		refuse(r, MHD_HTTP_BAD_REQUEST, 0);
		return MHD_NO;
	}
	r->fields[r->nfields++] = (struct http_field){name, value ? value : ""};
	return MHD_YES;
}

static void keep_fields(struct http_request *r)
{
	int n = MHD_get_connection_values_n(r->mhd, MHD_HEADER_KIND, NULL, NULL);
	const union MHD_ConnectionInfo *size = MHD_get_connection_info(r->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

	if (n > HEADERS_MAX || !size || size->header_size > r->port->http->limits.header_bytes) {
		refuse(r, MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE, 0);
		return;
	}
	r->fields = calloc((size_t)MAX(n, 1), sizeof(*r->fields));
	if (r->fields)
		MHD_get_connection_values_n(r->mhd, MHD_HEADER_KIND, keep_field, r);
	else
		refuse(r, MHD_HTTP_SERVICE_UNAVAILABLE, 1);
}

static unsigned count_fields(const struct http_request *r, const char *name, const char **ret)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->nfields; i++)
		if (!strcasecmp(r->fields[i].name, name)) {
			*ret = r->fields[i].value;
			n++;
		}
	return n;
}

/* How long the body says it is; refuses what says so twice, or otherwise than RFC 9112, 6 has it: two readers could
 * take such a request for different ones. Nothing of its rest may be read then: true if the connection must end. */
static bool frame(struct http_request *r, uint64_t *ret_len)
{
	const char *coding = NULL, *length = NULL;
	unsigned codings = count_fields(r, "Transfer-Encoding", &coding);
	unsigned lengths = count_fields(r, "Content-Length", &length);

	*ret_len = 0;
	if (codings + lengths > 1 || (codings && strcasecmp(coding, "chunked") != 0)) {
		refuse(r, MHD_HTTP_BAD_REQUEST, 0);
		return true;
	}
	r->chunked = codings;
	if (lengths)
		*ret_len = strtoull(length, NULL, 10); /* libmicrohttpd has refused what is no number */
	return false;
}

static void check_rate(struct http_request *r)
{
	struct http *h = r->port->http;
	unsigned wait_s;

	if (r->port->is_unix || !h->by_address)
		return;
	wait_s = rate_take(h->by_address, r->conn->net, NET_MAX, conn_now_ms());
	if (wait_s)
		refuse(r, MHD_HTTP_TOO_MANY_REQUESTS, wait_s);
}

static enum MHD_Result send_refusal(struct http_request *r, bool last);

/* All headers are there, nothing of the body. */
static enum MHD_Result begin(struct http_request *r, const char *method, const char *version)
{
	const struct http_limits *limits = &r->port->http->limits;
	const char *expect = NULL;
	bool must_end = false;
	uint64_t len = 0;

	r->begun = true;
	r->method = method;
	check_rate(r);
	/* A zero byte in the target: what we have of it is shorter than what was sent. */
	if (r->raw + r->raw_len + 1 != version)
		refuse(r, MHD_HTTP_BAD_REQUEST, 0);
	keep_fields(r);
	if (r->fields)
		must_end = frame(r, &len);
	if (r->conn->port->ask_key && !*conn_pin(r->conn, r->mhd))
		refuse(r, MHD_HTTP_FORBIDDEN, 0);
	if (len > limits->body_bytes)
		refuse(r, MHD_HTTP_CONTENT_TOO_LARGE, 0);
	conn_set(r->conn, CONN_RECEIVING, r->chunked ? limits->body_bytes : MIN(len, limits->body_bytes));
	if (!r->refuse)
		return MHD_YES;
	/* Who waits for "100 Continue" sends nothing more. */
	if (must_end || !r->fields || len / DRAIN_TIMES > limits->body_bytes ||
	    ((len || r->chunked) && count_fields(r, "Expect", &expect)))
		return send_refusal(r, true);
	return MHD_YES;
}

/* ---------------------------------------------------------------- the body */

static void drop_body(struct http_request *r)
{
	struct http *h = r->port->http;

	if (!r->room)
		return;
	pthread_mutex_lock(&h->lock);
	r->port->body_bytes -= r->room;
	h->usage.body_bytes -= r->room;
	pthread_mutex_unlock(&h->lock);
	free(r->body);
	r->body = NULL;
	r->len = r->room = 0;
}

/* Room for `need` bytes and a zero, within what all bodies may have; grows by doubling, so that nobody gets memory for
 * bytes that were only announced. */
static bool make_room(struct http_request *r, size_t need)
{
	struct http *h = r->port->http;
	size_t room = MAX(r->room, (size_t)BODY_FIRST);
	char *body;
	bool yes;

	while (room < need + 1)
		room *= 2;
	room = MIN(room, h->limits.body_bytes + 1);
	if (room <= r->room)
		return true;
	pthread_mutex_lock(&h->lock);
	yes = r->port->body_bytes + (room - r->room) <= h->limits.waiting_bytes;
	if (yes) {
		r->port->body_bytes += room - r->room;
		h->usage.body_bytes += room - r->room;
	}
	pthread_mutex_unlock(&h->lock);
	if (!yes)
		return false;
	body = realloc(r->body, room);
	if (body) {
		r->body = body;
		r->room = room;
		return true;
	}
	pthread_mutex_lock(&h->lock);
	r->port->body_bytes -= room - r->room;
	h->usage.body_bytes -= room - r->room;
	pthread_mutex_unlock(&h->lock);
	return false;
}

static enum MHD_Result take(struct http_request *r, const char *data, size_t len)
{
	const struct http_limits *limits = &r->port->http->limits;

	r->seen += len;
	if (r->seen > limits->body_bytes)
		refuse(r, MHD_HTTP_CONTENT_TOO_LARGE, 0);
	else if (!r->refuse && !make_room(r, r->len + len))
		refuse(r, MHD_HTTP_SERVICE_UNAVAILABLE, 1);
	if (r->refuse) {
		drop_body(r);
		return r->seen / DRAIN_TIMES > limits->body_bytes ? MHD_NO : MHD_YES;
	}
	memcpy(r->body + r->len, data, len);
	r->len += len;
	r->body[r->len] = '\0';
	return MHD_YES;
}

/* ---------------------------------------------------------------- to the handler, and back */

static void call(void *request)
{
	struct http_request *r = request;
	struct http *h = r->port->http;

	h->handler.handle(h->handler.ctx, r); /* r may be gone */
	pthread_mutex_lock(&h->lock);
	h->running--;
	if (h->closing)
		pthread_cond_broadcast(&h->changed);
	pthread_mutex_unlock(&h->lock);
}

/* The request is whole. */
static enum MHD_Result hand_over(struct http_request *r)
{
	struct http *h = r->port->http;
	bool yes;

	pthread_mutex_lock(&h->lock);
	yes = !h->closing && r->port->waiting < h->limits.waiting;
	if (yes) {
		r->port->waiting++;
		h->usage.waiting++;
		h->unanswered++;
		h->running++;
	}
	pthread_mutex_unlock(&h->lock);
	if (!yes) {
		refuse(r, MHD_HTTP_SERVICE_UNAVAILABLE, 1);
		return send_refusal(r, false);
	}
	r->handed = true;
	conn_set(r->conn, CONN_HANDLED, 0);
	/* First this, then the worker: it may answer, and resume, at once. */
	MHD_suspend_connection(r->mhd);
	h->handler.run(h->handler.run_ctx, call, r);
	return MHD_YES;
}

static struct MHD_Response *response_new(const char *type, const void *body, size_t len, const char *const *headers,
					 enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *p = MHD_create_response_from_buffer(len, (void *)(uintptr_t)(len ? body : ""), mode);
	bool ok = p && MHD_add_response_header(p, "X-Content-Type-Options", "nosniff") &&
		  MHD_add_response_header(p, "Cache-Control", "no-store") &&
		  (!type || MHD_add_response_header(p, "Content-Type", type));

	for (; ok && headers && headers[0]; headers += 2)
		ok = MHD_add_response_header(p, headers[0], headers[1]);
	if (!ok && p) {
		MHD_destroy_response(p);
		p = NULL;
	}
	return p;
}

static enum MHD_Result queue(struct http_request *r, unsigned status, struct MHD_Response *p, size_t len)
{
	enum MHD_Result ret;

	if (!p)
		return MHD_NO; /* out of memory: the connection ends */
	conn_set(r->conn, CONN_SENDING, len);
	ret = MHD_queue_response(r->mhd, status, p);
	MHD_destroy_response(p); /* our reference */
	return ret;
}

static const char *reason(unsigned status)
{
	switch (status) {
	case MHD_HTTP_FORBIDDEN:
		return "This listener wants to see the client's key.\n";
	case MHD_HTTP_CONTENT_TOO_LARGE:
		return "The body is larger than what is accepted here.\n";
	case MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE:
		return "The headers are more or larger than what is accepted here.\n";
	case MHD_HTTP_TOO_MANY_REQUESTS:
		return "Too many requests from this address; Retry-After says when there may be one again.\n";
	case MHD_HTTP_SERVICE_UNAVAILABLE:
		return "Too many requests are waiting, or this server is about to end; try again.\n";
	default:
		return "The request cannot be understood.\n";
	}
}

/* `last`: libmicrohttpd ends the connection behind an answer that is given before the request was read; say so. */
static enum MHD_Result send_refusal(struct http_request *r, bool last)
{
	struct http *h = r->port->http;
	const char *text = reason(r->refuse), *headers[5] = {NULL};
	unsigned n = 0;
	char retry[16];

	snprintf(retry, sizeof(retry), "%u", r->retry_s);
	if (r->retry_s) {
		headers[n++] = "Retry-After";
		headers[n++] = retry;
	}
	pthread_mutex_lock(&h->lock);
	h->usage.refused++;
	last = last || h->closing;
	pthread_mutex_unlock(&h->lock);
	if (last) {
		headers[n++] = "Connection";
		headers[n++] = "close";
	}
	return queue(r, r->refuse, response_new("text/plain", text, strlen(text), headers, MHD_RESPMEM_MUST_COPY),
		     strlen(text));
}

static enum MHD_Result send_answer(struct http_request *r)
{
	struct MHD_Response *p = r->response;

	r->response = NULL;
	return queue(r, r->status, p, r->len);
}

enum MHD_Result request_part(void *port, struct MHD_Connection *m, const char *url, const char *method,
			     const char *version, const char *data, size_t *len, void **ctx)
{
	struct http_request *r = *ctx;
	enum MHD_Result ret;

	(void)port;
	(void)m;
	(void)url;
	if (!r)
		return MHD_NO; /* no memory when it began */
	if (!r->begun)
		return begin(r, method, version);
	if (*len) {
		ret = take(r, data, *len);
		*len = 0;
		return ret;
	}
	if (r->handed)
		return send_answer(r);
	return r->refuse ? send_refusal(r, false) : hand_over(r);
}

/* A large one must fit in with those that clients are slow to take; there is always room for one. */
static bool take_room(struct http_request *r, size_t len)
{
	struct port *p = r->port;
	struct http *h = p->http;
	bool yes;

	if (len < LARGE_ANSWER)
		return true;
	pthread_mutex_lock(&h->lock);
	yes = !p->answer_bytes || p->answer_bytes + len <= h->limits.answer_bytes;
	if (yes) {
		r->answer = len;
		p->answer_bytes += len;
		h->usage.answer_bytes += len;
	}
	pthread_mutex_unlock(&h->lock);
	return yes;
}

static void answer(struct http_request *r, unsigned status, const char *content_type, const void *body, size_t len,
		   const char *const *headers, enum MHD_ResponseMemoryMode mode)
{
	struct port *p = r->port;
	struct http *h = p->http;

	static const char *const later[] = {"Retry-After", "1", NULL};

	assert(r->handed && !r->response && status >= 200 && status <= 599);
	if (!len && mode == MHD_RESPMEM_MUST_FREE) {
		free((void *)(uintptr_t)body);
		mode = MHD_RESPMEM_PERSISTENT;
	}
	if (!take_room(r, len)) {
		if (mode == MHD_RESPMEM_MUST_FREE)
			free((void *)(uintptr_t)body);
		mode = MHD_RESPMEM_PERSISTENT;
		status = MHD_HTTP_SERVICE_UNAVAILABLE;
		content_type = "text/plain";
		body = "Too many large answers wait for their clients; try again.\n";
		len = strlen(body);
		headers = later;
	}
	r->response = response_new(content_type, body, len, headers, mode);
	r->status = status;
	if (!r->response) {
		r->response =
			response_new("text/plain", "The answer could not be sent.\n", 30, NULL, MHD_RESPMEM_PERSISTENT);
		r->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
	}
	drop_body(r);
	r->len = len; /* of the answer, from now on */
	pthread_mutex_lock(&h->lock);
	p->waiting--;
	h->usage.waiting--;
	h->usage.answered++;
	h->sending++;
	pthread_mutex_unlock(&h->lock);
	MHD_resume_connection(r->mhd); /* r may be gone */
	pthread_mutex_lock(&h->lock);
	h->unanswered--;
	if (h->closing)
		pthread_cond_broadcast(&h->changed);
	pthread_mutex_unlock(&h->lock);
}

void http_answer(struct http_request *r, unsigned status, const char *content_type, const void *body, size_t len,
		 const char *const *headers)
{
	answer(r, status, content_type, body, len, headers, MHD_RESPMEM_MUST_COPY);
}

void http_answer_taken(struct http_request *r, unsigned status, const char *content_type, void *body, size_t len,
		       const char *const *headers)
{
	answer(r, status, content_type, body, len, headers, MHD_RESPMEM_MUST_FREE);
}

void request_end(void *port, struct MHD_Connection *m, void **ctx, enum MHD_RequestTerminationCode why)
{
	struct http_request *r = *ctx;
	struct port *p = port;
	struct http *h = p->http;

	(void)m;
	(void)why;
	if (!r)
		return;
	drop_body(r);
	conn_set(r->conn, CONN_IDLE, 0);
	pthread_mutex_lock(&h->lock);
	h->usage.requests--;
	if (r->handed)
		h->sending--;
	p->answer_bytes -= r->answer;
	h->usage.answer_bytes -= r->answer;
	if (h->closing)
		pthread_cond_broadcast(&h->changed);
	pthread_mutex_unlock(&h->lock);
	if (r->response)
		MHD_destroy_response(r->response);
	while (r->joined) {
		struct joined *j = r->joined;

		r->joined = j->next;
		free(j);
	}
	free(r->fields);
	free(r->path);
	free(r);
	*ctx = NULL;
}

/* ---------------------------------------------------------------- what a handler asks */

struct http *http_of(const struct http_request *r)
{
	return r->port->http;
}

const char *http_method(const struct http_request *r)
{
	return r->method;
}

const char *http_path(const struct http_request *r)
{
	return r->path;
}

const char *http_query(const struct http_request *r)
{
	return r->query;
}

const char *http_header(const struct http_request *r, const char *name)
{
	const char *value = NULL;
	size_t len = 0, used = 0;
	struct joined *j;

	if (count_fields(r, name, &value) <= 1)
		return value;
	for (unsigned i = 0; i < r->nfields; i++)
		if (!strcasecmp(r->fields[i].name, name))
			len += strlen(r->fields[i].value) + 1;
	j = calloc(1, sizeof(*j) + len + 1);
	if (!j)
		return NULL;
	for (unsigned i = 0; i < r->nfields; i++)
		if (!strcasecmp(r->fields[i].name, name))
			used += (size_t)snprintf(j->text + used, len + 1 - used, "%s%s", used ? "," : "",
						 r->fields[i].value);
	j->next = r->joined;
	((struct http_request *)(uintptr_t)r)->joined = j; /* it lives as long as the request */
	return j->text;
}

bool http_field(const struct http_request *r, unsigned i, const char **ret_name, const char **ret_value)
{
	if (i >= r->nfields)
		return false;
	*ret_name = r->fields[i].name;
	*ret_value = r->fields[i].value;
	return true;
}

const void *http_body(const struct http_request *r, size_t *ret_len)
{
	*ret_len = r->len;
	return r->body ? r->body : "";
}

const char *http_peer(const struct http_request *r)
{
	return r->conn->peer;
}

bool http_peer_root(const struct http_request *r)
{
	return r->conn->root;
}

const char *http_peer_pin(const struct http_request *r)
{
	return *r->conn->pin ? r->conn->pin : NULL;
}

unsigned http_listener(const struct http_request *r)
{
	return r->port->index;
}
