/* The SDK for modules in C: header-only over abi.h, C11 (and C++). A module links
 * nothing of libvmsec. `vmsec module new NAME --language c` writes a whole one.
 *
 *   VMSEC_C_MODULE(create, call, destroy,
 *                  "name = \"greeter\"\n"
 *                  "version = \"1.0\"\n" ...);
 *
 * The three functions are vmsec_module's (abi.h says who owns what, and which
 * threads call). Messages and their fields' numbers are those of share/vmsec/proto;
 * a method's number is its place in its service there, from 1. */
#ifndef VMSEC_MODULE_H
#define VMSEC_MODULE_H

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "vmsec/abi.h"
#include "vmsec/wire.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A reply's code: vmsec::Code of result.hpp, which says when each is used. */
enum {
  VMSEC_OK = 0,
  VMSEC_INVALID_ARGUMENT = 1,
  VMSEC_NOT_FOUND = 2,
  VMSEC_ALREADY_EXISTS = 3,
  VMSEC_UNSUPPORTED = 4,
  VMSEC_WRONG_STATE = 5,
  VMSEC_LIMIT_EXCEEDED = 6,
  VMSEC_UNAVAILABLE = 100,
  VMSEC_TIMEOUT = 101,
  VMSEC_IO = 102,
  VMSEC_CANCELLED = 103,
  VMSEC_INTERNAL = 104,
  VMSEC_IN_DOUBT = 105,
  VMSEC_DENIED = 200,
  VMSEC_REVOKED = 201,
  VMSEC_UNAUTHENTICATED = 202,
  VMSEC_UNTRUSTED = 203,
  VMSEC_TAMPERED = 204,
  VMSEC_EXPIRED = 205
};

/* The longest text of an error; what is longer is cut. */
#define VMSEC_ERROR_TEXT 1024

/* ---- answering ----------------------------------------------------------- */

static inline void vmsec_release_written_(vmsec_reply* reply) {
  free(reply->owner);
  memset(reply, 0, sizeof *reply);
}

static inline void vmsec_fill_(vmsec_reply* reply, uint32_t code, vmsec_writer* message) {
  memset(reply, 0, sizeof *reply);
  reply->size = (uint32_t)sizeof *reply;
  reply->code = code;
  reply->data = message->data;
  reply->data_size = message->size;
  reply->owner = message->data;
  reply->release = vmsec_release_written_;
  *message = vmsec_writer_of(message->limit);
}

/* An error, its text as printf's: operation, object and limit; no guest byte, no
 * secret. VMSEC_OK as a code becomes VMSEC_INTERNAL. */
__attribute__((format(printf, 3, 4))) static inline void vmsec_fail(vmsec_reply* reply, uint32_t code,
                                                                    const char* format, ...) {
  char text[VMSEC_ERROR_TEXT];
  vmsec_writer message = vmsec_writer_of(VMSEC_ERROR_TEXT + 64);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (code == VMSEC_OK) code = VMSEC_INTERNAL;
  vmsec_write_number(&message, 1, code);
  vmsec_write_text(&message, 2, text);
  vmsec_fill_(reply, code, &message);
}

/* Answers what was written, and takes it from the writer. A writer that failed
 * answers that instead. */
static inline void vmsec_answer(vmsec_reply* reply, vmsec_writer* message) {
  const size_t limit = message->limit;
  if (!message->failed) {
    vmsec_fill_(reply, VMSEC_OK, message);
    return;
  }
  vmsec_writer_drop(message);
  vmsec_fail(reply, VMSEC_LIMIT_EXCEEDED, "the answer exceeds %zu bytes", limit);
}

/* ---- calling the host ---------------------------------------------------- */

/* Ends a reply of the host: its memory, and the descriptors that came along. */
static inline void vmsec_reply_drop(vmsec_reply* reply) {
  size_t i;
  for (i = 0; i < reply->fd_count; ++i) close(reply->fds[i]);
  reply->fd_count = 0;
  if (reply->release != NULL) reply->release(reply);
}

/* One call on a handle. Afterwards `reply` is the caller's to end, by
 * vmsec_reply_drop() or by keeping the descriptors and calling release(). The
 * request is dropped. 1 where reply->code is VMSEC_OK. */
static inline int vmsec_host_call(const vmsec_host* host, uint64_t handle, uint32_t method, vmsec_writer* request,
                                  vmsec_reply* reply) {
  vmsec_call call;
  memset(reply, 0, sizeof *reply);
  reply->size = (uint32_t)sizeof *reply;
  if (request->failed) {
    vmsec_writer_drop(request);
    vmsec_fail(reply, VMSEC_LIMIT_EXCEEDED, "the request exceeds what its writer may hold");
    return 0;
  }
  memset(&call, 0, sizeof call);
  call.size = (uint32_t)sizeof call;
  call.method = method;
  call.handle = handle;
  call.interface_name = "";
  call.data = request->data;
  call.data_size = request->size;
  host->call(host->context, &call, reply);
  vmsec_writer_drop(request);
  return reply->code == VMSEC_OK;
}

/* Opens an interface that the manifest needs: 1, and *handle is what calls are
 * made on. Else 0, and `reply` says why, for the caller to end or to pass on. */
static inline int vmsec_open(const vmsec_host* host, const char* interface_name, uint64_t* handle, vmsec_reply* reply) {
  vmsec_writer request = vmsec_writer_of(256);
  vmsec_reader reader;
  vmsec_field field;
  uint64_t id = 0, generation = 0;
  vmsec_write_text(&request, 1, interface_name);
  if (!vmsec_host_call(host, 0, 1, &request, reply)) return 0;
  reader = vmsec_reader_of(vmsec_bytes_of(reply->data, reply->data_size));
  while (vmsec_read(&reader, &field)) {
    if (field.number == 1) id = field.value;
    if (field.number == 2) generation = field.value;
  }
  vmsec_reply_drop(reply);
  if (reader.malformed) {
    vmsec_fail(reply, VMSEC_INTERNAL, "open %s: the host's answer is malformed", interface_name);
    return 0;
  }
  *handle = id << 32 | (generation & 0xffffffffu);
  return 1;
}

/* ---- the door ------------------------------------------------------------ */

#ifndef VMSEC_MANIFEST
#define VMSEC_MANIFEST(text) \
  __attribute__((section(".vmsec.manifest"), used)) static const char vmsec_manifest_[] = text
#endif
#ifdef VMSEC_ABI_NOTE
#define VMSEC_C_NOTE_ VMSEC_ABI_NOTE;
#else
#define VMSEC_C_NOTE_
#endif
#ifdef __cplusplus
#define VMSEC_C_ENTRY_ extern "C" __attribute__((visibility("default")))
#else
#define VMSEC_C_ENTRY_ __attribute__((visibility("default")))
#endif

/* Once in a module, at file scope. */
#define VMSEC_C_MODULE(create, call, destroy, manifest_text)               \
  VMSEC_C_NOTE_ VMSEC_MANIFEST(manifest_text);                             \
  VMSEC_C_ENTRY_ extern const vmsec_module vmsec_module_entry;             \
  const vmsec_module vmsec_module_entry = {(uint32_t)sizeof(vmsec_module), \
                                           VMSEC_ABI_MAJOR,                \
                                           VMSEC_ABI_MINOR,                \
                                           vmsec_manifest_,                \
                                           sizeof vmsec_manifest_ - 1,     \
                                           create,                         \
                                           call,                           \
                                           destroy}

#ifdef __cplusplus
}
#endif

#endif
