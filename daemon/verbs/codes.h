/* SPDX-License-Identifier: GPL-2.0-only */
/* codes.h - the errors of the verbs: EC2's codes, where EC2 has one, each with an HTTP status and an exit status of
 * hybrid-volume. Source: "Error codes for the Amazon EC2 API". */
#ifndef HB_VERBS_CODES_H
#define HB_VERBS_CODES_H

/* name, HTTP status, exit status: 1 failed, 2 wrong usage, 3 not there, 4 exists or in use, 5 not allowed, 6 over a
 * limit, 7 cannot be reached now. */
#define EBS_CODES(X) \
	X(AUTH_FAILURE, "AuthFailure", 401, 5) \
	X(NO_TOKEN, "MissingAuthenticationToken", 403, 5) \
	X(INCOMPLETE_SIGNATURE, "IncompleteSignature", 400, 5) \
	X(UNKNOWN_KEY, "InvalidClientTokenId", 403, 5) \
	X(SIGNATURE_MISMATCH, "SignatureDoesNotMatch", 403, 5) \
	X(REQUEST_EXPIRED, "RequestExpired", 400, 5) \
	X(UNAUTHORIZED, "UnauthorizedOperation", 403, 5) \
	X(DRY_RUN, "DryRunOperation", 412, 0) \
	X(INVALID_ACTION, "InvalidAction", 400, 2) \
	X(MISSING_PARAMETER, "MissingParameter", 400, 2) \
	X(UNKNOWN_PARAMETER, "UnknownParameter", 400, 2) \
	X(INVALID_PARAMETER, "InvalidParameterValue", 400, 2) \
	X(INVALID_COMBINATION, "InvalidParameterCombination", 400, 2) \
	X(UNKNOWN_TYPE, "UnknownVolumeType", 400, 2) \
	X(NO_VOLUME, "InvalidVolume.NotFound", 400, 3) \
	X(NO_SNAPSHOT, "InvalidSnapshot.NotFound", 400, 3) \
	X(NO_INSTANCE, "InvalidInstanceID.NotFound", 400, 3) \
	X(NO_HOST, "InvalidHost.NotFound", 400, 3) \
	X(NO_ATTACHMENT, "InvalidAttachment.NotFound", 400, 3) \
	X(NO_ZONE, "InvalidZone.NotFound", 400, 3) \
	X(NO_KEY, "InvalidKey.NotFound", 400, 3) \
	X(NO_TASK, "InvalidTask.NotFound", 400, 3) \
	X(NO_RESOURCE, "InvalidID", 400, 3) \
	X(AMBIGUOUS, "AmbiguousName", 400, 2) \
	X(DUPLICATE, "InvalidParameterValue.Duplicate", 400, 4) \
	X(VOLUME_IN_USE, "VolumeInUse", 400, 4) \
	X(SNAPSHOT_IN_USE, "InvalidSnapshot.InUse", 400, 4) \
	X(HOST_IN_USE, "HostInUse", 400, 4) \
	X(INCORRECT_STATE, "IncorrectState", 400, 4) \
	X(INCORRECT_MODIFICATION, "IncorrectModificationState", 400, 4) \
	X(BUSY, "ResourceBusy", 400, 4) \
	X(TOKEN_MISMATCH, "IdempotentParameterMismatch", 400, 4) \
	X(TAG_LIMIT, "TagLimitExceeded", 400, 6) \
	X(VOLUME_LIMIT, "VolumeLimitExceeded", 400, 6) \
	X(SNAPSHOT_LIMIT, "SnapshotLimitExceeded", 400, 6) \
	X(PENDING_LIMIT, "PendingSnapshotLimitExceeded", 400, 6) \
	X(ATTACHMENT_LIMIT, "AttachmentLimitExceeded", 400, 6) \
	X(NO_CAPACITY, "InsufficientVolumeCapacity", 400, 6) \
	X(REQUEST_LIMIT, "RequestLimitExceeded", 503, 7) \
	X(INTERNAL, "InternalError", 500, 1) \
	X(UNAVAILABLE, "Unavailable", 503, 7)

enum ebs_code {
	EBS_OK,
#define EBS_CODE_ENUM(name, text, http, status) EBS_##name,
	EBS_CODES(EBS_CODE_ENUM)
#undef EBS_CODE_ENUM
		EBS_CODE_COUNT
};

const char *ebs_code_text(enum ebs_code code);
unsigned ebs_code_http(const char *text); /* 500 for what is not known */
int ebs_code_exit(const char *text); /* 1 for what is not known */

#endif
