/* The door between the core and a module: plain C11, messages in Protobuf's
 * wire format. A module is a shared object with one exported symbol,
 * `vmsec_module_entry`. The same calls cross a function call or a socket.
 *
 * Structs begin with their size and only grow. A module loads when its major
 * version is the host's and its minor version is not above it.
 *
 * Threads: calls in both directions may come at once from any thread.
 * Ownership: a call's bytes are borrowed for the call; its descriptors belong to
 * the callee from then on, whatever it answers. A reply belongs to its caller,
 * who calls release() exactly once, and closes the descriptors or keeps them. */
#ifndef VMSEC_ABI_H
#define VMSEC_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VMSEC_ABI_MAJOR 1u
#define VMSEC_ABI_MINOR 0u

typedef struct vmsec_call {
  uint32_t size;
  uint32_t method;
  /* Module to host: a handle from open(), or 0 for the host itself, whose one
   * method is 1, open (vmsec.OpenHandle to vmsec.HandleReply).
   * Host to module: 0. */
  uint64_t handle; /* id << 32 | generation */
  /* Host to module: the interface's name. Module to host: empty. */
  const char* interface_name;
  size_t interface_name_size;
  const void* data;
  size_t data_size;
  const int32_t* fds;
  size_t fd_count;
} vmsec_call;

typedef struct vmsec_reply {
  uint32_t size;
  uint32_t code; /* vmsec::Code; 0: data is the reply, else a vmsec.ErrorReply */
  const void* data;
  size_t data_size;
  const int32_t* fds;
  size_t fd_count;
  void (*release)(struct vmsec_reply* reply);
  void* owner;
} vmsec_reply;

typedef void (*vmsec_call_function)(void* context, const vmsec_call* call, vmsec_reply* reply);

typedef struct vmsec_host {
  uint32_t size;
  uint32_t abi_major;
  uint32_t abi_minor;
  void* context;
  vmsec_call_function call;
} vmsec_host;

typedef struct vmsec_module {
  uint32_t size;
  uint32_t abi_major;
  uint32_t abi_minor;
  const char* manifest; /* TOML, see docs/write-a-module.md */
  size_t manifest_size;
  /* Makes the module's one instance. `configuration` is a vmsec.Settings. On
   * failure *instance stays NULL and the reply says why. */
  void (*create)(const vmsec_host* host, const void* configuration, size_t configuration_size, void** instance,
                 vmsec_reply* reply);
  vmsec_call_function call; /* context: the instance */
  /* No call is under way, and none comes after. */
  void (*destroy)(void* instance);
} vmsec_module;

/* What a module of version 1.0 has at the least. */
#define VMSEC_MODULE_SIZE_1_0 56u

/* What the loader reads of the file before any code of the module runs: the
 * manifest, and the version that it was built for. Both are once in a file. */
typedef struct vmsec_abi_note {
  uint32_t size;
  uint32_t abi_major;
  uint32_t abi_minor;
} vmsec_abi_note;

#if defined(__clang__) /* whose sanitizers would put zones around what is in the section */
#define VMSEC_KEPT_SECTION(name) __attribute__((section(name), used, retain, no_sanitize("address")))
#else
#define VMSEC_KEPT_SECTION(name) __attribute__((section(name), used, retain))
#endif

#define VMSEC_ABI_NOTE             \
  VMSEC_KEPT_SECTION(".vmsec.abi") \
  static const vmsec_abi_note vmsec_abi_note_ = {(uint32_t)sizeof(vmsec_abi_note), VMSEC_ABI_MAJOR, VMSEC_ABI_MINOR}
/* The entry's manifest is vmsec_manifest_, its size sizeof vmsec_manifest_ - 1. */
#define VMSEC_MANIFEST(text) VMSEC_KEPT_SECTION(".vmsec.manifest") static const char vmsec_manifest_[] = text

#ifdef __cplusplus
}
#endif

#endif
