/* A module in C that does harm when its Enforcement.Diff is called; Check is answered well. Each hostile module is
 * this with one function, do_harm(). */
#ifndef HOSTILE_H
#define HOSTILE_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmsec/abi.h"

static vmsec_host host;

static void answer(vmsec_reply* reply) {
  memset(reply, 0, sizeof *reply);
  reply->size = sizeof *reply;
}

/* A vmsec.ErrorReply, whose field 1 is its code. */
static void refuse(vmsec_reply* reply, uint32_t code) {
  static __thread unsigned char error[3];
  error[0] = 0x08, error[1] = (unsigned char)(code | 0x80), error[2] = (unsigned char)(code >> 7);
  answer(reply);
  reply->code = code;
  reply->data = error;
  reply->data_size = code == 0 ? 0 : sizeof error;
}

/* Calls the host; answers the reply's code. `out`: the first bytes of the answer. */
__attribute__((unused)) static uint32_t ask(uint64_t handle, uint32_t method, const void* data, size_t size, char* out,
                                            size_t out_size) {
  vmsec_call call;
  memset(&call, 0, sizeof call);
  call.size = sizeof call;
  call.handle = handle;
  call.method = method;
  call.data = data;
  call.data_size = size;
  vmsec_reply reply;
  answer(&reply);
  host.call(host.context, &call, &reply);
  const uint32_t code = reply.code;
  if (out != NULL && reply.data_size <= out_size && reply.data_size > 0) memcpy(out, reply.data, reply.data_size);
  if (reply.release != NULL) reply.release(&reply);
  return code;
}

/* A handle of an interface: vmsec.OpenHandle, whose field 1 is its name; vmsec.HandleReply. 0: refused. */
__attribute__((unused)) static uint64_t open_handle(const char* name) {
  char request[64] = {0x0a, (char)strlen(name)};
  memcpy(request + 2, name, strlen(name));
  char reply[16] = {0};
  if (ask(0, 1, request, 2 + strlen(name), reply, sizeof reply) != 0) return 0;
  return (uint64_t)reply[1] << 32 | (uint64_t)reply[3];
}

/* The line on which this call came. */
__attribute__((unused)) static int line(void) {
  for (int fd = 4; fd < 64; ++fd) {
    int type = 0;
    socklen_t size = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM) return fd;
  }
  return -1;
}

/* The line on which a thread of its own has just called: made after the other. */
__attribute__((unused)) static int own_line(void) {
  int last = -1;
  for (int fd = 4; fd < 64; ++fd) {
    int type = 0;
    socklen_t size = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM) last = fd;
  }
  return last;
}

__attribute__((unused)) static void send_raw(const void* bytes, size_t size) {
  if (write(line(), bytes, size) < 0) abort();
}

__attribute__((unused)) static void wait_for_ever(void) {
  for (;;) sleep(1000);
}

/* What each module does: answers the code that the host is told. */
static uint32_t do_harm(void);
#ifndef IN_CREATE
#define IN_CREATE 0
#endif
#ifndef IN_DESTROY
#define IN_DESTROY 0
#endif

static int instance;

static void create(const vmsec_host* given, const void* configuration, size_t size, void** made, vmsec_reply* reply) {
  (void)configuration, (void)size;
  host = *given;
  *made = &instance;
  refuse(reply, IN_CREATE ? do_harm() : 0);
}

static void call(void* self, const vmsec_call* request, vmsec_reply* reply) {
  (void)self;
  for (size_t i = 0; i < request->fd_count; ++i) close(request->fds[i]);
  refuse(reply, request->method == 1 ? 0 : do_harm());
}

static void destroy(void* self) {
  (void)self;
  if (IN_DESTROY) do_harm();
}

VMSEC_ABI_NOTE;
VMSEC_MANIFEST("name = \"" NAME
               "\"\nversion = \"1\"\nprovides = [\"vmsec.Enforcement\"]\nneeds = [\"vmsec.DomainControl\", "
               "\"vmsec.Journal\"]\n");
extern const vmsec_module vmsec_module_entry;
__attribute__((visibility("default"))) const vmsec_module vmsec_module_entry = {sizeof(vmsec_module),
                                                                                VMSEC_ABI_MAJOR,
                                                                                VMSEC_ABI_MINOR,
                                                                                vmsec_manifest_,
                                                                                sizeof vmsec_manifest_ - 1,
                                                                                create,
                                                                                call,
                                                                                destroy};

#endif
