/* SPDX-License-Identifier: GPL-2.0-only */
/* auth.h - who asks, for every protocol that is spoken on hybridd's listeners; what is asked is none of its business.
 *
 * With an Authorization header: the key by which the request is signed (sigv4/sigv4.h), whichever way it came. Without:
 * on the Unix socket root, or the user that hybridd runs as; they may do everything. Nobody else is let in.
 *
 * The credential's service must be the protocol's own ("hybrid" of the JSON API), so that what was signed for one is
 * not taken by another; its region may be any: keys are one box's.
 */
#ifndef HB_API_AUTH_H
#define HB_API_AUTH_H

#include "http/http.h"
#include "verbs/ebs.h"

struct auth {
	struct ebs_key key; /* "": root */
	enum ebs_code code; /* why not; EBS_OK: it may ask */
	struct err err;
	unsigned retry_s; /* EBS_REQUEST_LIMIT: when it may again */
};

/* Puts who, rights and only_tags into `c`, borrowed from *a until auth_end(); or code and err into *a: false. */
bool auth_check(struct ebs *e, const struct http_request *r, const char *service, struct auth *a, struct ebs_call *c);
/* The same where a body need not be covered by the signature, since a header that is holds its checksum. Who calls
 * this compares that. */
bool auth_check_unsigned(struct ebs *e, const struct http_request *r, const char *service, struct auth *a,
			 struct ebs_call *c);
void auth_end(struct auth *a);

#endif
