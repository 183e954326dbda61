/* A control plane's way to a host, for programs that are not in C++: libvmsec's C
 * API. What control.hpp says of interfaces and methods holds here; messages are in
 * Protobuf's wire format (proto/ has them).
 *
 * Calls and replies are abi.h's, under its rules: structs begin with their size
 * and only grow; a call's bytes are borrowed, its descriptors belong to the callee;
 * a reply belongs to its caller, who calls its release() exactly once, and closes
 * the descriptors or keeps them. In a call, `handle` is 0, and `interface_name` is
 * as in control.hpp: "vmsec.DomainControl", "throttle:vmsec.Enforcement".
 *
 * A reply's `size` is set by the caller before each call, everything else in it is
 * overwritten. A size below VMSEC_CONTROL_REPLY_SIZE cannot hold an answer: then
 * nothing is written at all. */
#ifndef VMSEC_CONTROL_H
#define VMSEC_CONTROL_H

#include "vmsec/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define VMSEC_CONTROL_API __attribute__((visibility("default")))
#else
#define VMSEC_CONTROL_API
#endif

/* The first release's structs. */
#define VMSEC_CONTROL_CALL_SIZE 64u
#define VMSEC_CONTROL_REPLY_SIZE 56u

/* The version of this API, as abi.h's: major << 16 | minor. */
VMSEC_CONTROL_API uint32_t vmsec_control_version(void);

typedef struct vmsec_control vmsec_control;

/* Connects to an agent's Unix socket. On failure *control is NULL and the reply
 * says why. `reply` may not be NULL, and is to be released in both cases. */
VMSEC_CONTROL_API void vmsec_control_connect(const char* socket_path, vmsec_control** control, vmsec_reply* reply);

/* One call; any number of threads at once. A call that is shorter than
 * VMSEC_CONTROL_CALL_SIZE answers invalid_argument (code 1). */
VMSEC_CONTROL_API void vmsec_control_call(vmsec_control* control, const vmsec_call* call, vmsec_reply* reply);

/* No call is under way, and none comes after. NULL does nothing. */
VMSEC_CONTROL_API void vmsec_control_close(vmsec_control* control);

/* A reply's error as text, ended by a zero byte and cut to `size` bytes with it.
 * Answers how many bytes the whole text has (without the zero), 0 where the reply
 * is no error. `buffer` may be NULL where `size` is 0. */
VMSEC_CONTROL_API size_t vmsec_control_error(const vmsec_reply* reply, char* buffer, size_t size);

#ifdef __cplusplus
}
#endif

#endif
