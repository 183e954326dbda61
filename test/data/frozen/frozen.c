/* The module that every later version must load: module ABI 1.0, as it was when that was frozen. Its binary is beside
 * it. Neither is changed again; `rebuild` makes the one from the other, byte for byte. */
#include <stdlib.h>
#include <string.h>

#include "vmsec/abi.h"

VMSEC_ABI_NOTE;
VMSEC_MANIFEST(
    "name = \"frozen\"\n"
    "version = \"1.0\"\n"
    "summary = \"Loads for ever\"\n"
    "provides = [\"test.Frozen\"]\n"
    "needs = [\"vmsec.DomainControl\"]\n");

static vmsec_host kept;

static void release(vmsec_reply* reply) {
  free(reply->owner);
  memset(reply, 0, sizeof *reply);
}

static void answer(vmsec_reply* reply, uint32_t code, const void* data, size_t size) {
  void* copy = malloc(size + 1);
  memset(reply, 0, sizeof *reply);
  reply->size = sizeof *reply;
  reply->code = copy != NULL ? code : 104;
  if (copy == NULL) return;
  if (size != 0) memcpy(copy, data, size);
  reply->data = copy;
  reply->data_size = size;
  reply->release = release;
  reply->owner = copy;
}

/* vmsec.OpenHandle { interface = 1 } */
static void open_domains(vmsec_reply* reply) {
  static const char request[] = "\x0a\x13vmsec.DomainControl";
  vmsec_call call;
  memset(&call, 0, sizeof call);
  call.size = sizeof call;
  call.method = 1;
  call.data = request;
  call.data_size = sizeof request - 1;
  kept.call(kept.context, &call, reply);
}

static void create(const vmsec_host* host, const void* configuration, size_t size, void** instance,
                   vmsec_reply* reply) {
  (void)configuration;
  (void)size;
  kept = *host;
  *instance = &kept;
  answer(reply, 0, NULL, 0);
}

/* Method 1 sends back what it gets; method 2 opens an interface of the host's and sends back its answer. */
static void call(void* instance, const vmsec_call* call, vmsec_reply* reply) {
  (void)instance;
  if (call->method == 1) {
    answer(reply, 0, call->data, call->data_size);
  } else if (call->method == 2) {
    memset(reply, 0, sizeof *reply);
    reply->size = sizeof *reply;
    open_domains(reply);
  } else {
    /* vmsec.ErrorReply { code = unsupported } */
    answer(reply, 4, "\x08\x04", 2);
  }
}

static void destroy(void* instance) { (void)instance; }

__attribute__((visibility("default"))) const vmsec_module vmsec_module_entry = {sizeof(vmsec_module),
                                                                                VMSEC_ABI_MAJOR,
                                                                                VMSEC_ABI_MINOR,
                                                                                vmsec_manifest_,
                                                                                sizeof vmsec_manifest_ - 1,
                                                                                create,
                                                                                call,
                                                                                destroy};
