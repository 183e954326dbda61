/* A module as small as can be, in ways that must be refused: by macros, see CMakeLists.txt. */
#include <stdlib.h>

#include "vmsec/abi.h"

#ifndef NOTE_MAJOR
#define NOTE_MAJOR VMSEC_ABI_MAJOR
#endif
#ifndef NOTE_MINOR
#define NOTE_MINOR VMSEC_ABI_MINOR
#endif
#ifndef NOTE_SIZE
#define NOTE_SIZE sizeof(vmsec_abi_note)
#endif
#ifndef ENTRY_SIZE
#define ENTRY_SIZE sizeof(vmsec_module)
#endif
#ifndef ENTRY_MAJOR
#define ENTRY_MAJOR VMSEC_ABI_MAJOR
#endif
#ifndef VERSION
#define VERSION "1.0"
#endif

#ifndef NO_NOTE
VMSEC_KEPT_SECTION(".vmsec.abi")
static const vmsec_abi_note note = {(uint32_t)(NOTE_SIZE), NOTE_MAJOR, NOTE_MINOR};
#endif

#define MANIFEST "name = \"small\"\nversion = \"" VERSION "\"\n"
#ifdef NO_MANIFEST
static const char vmsec_manifest_[] = MANIFEST;
#elif defined(HUGE_MANIFEST)
VMSEC_KEPT_SECTION(".vmsec.manifest") static const char vmsec_manifest_[70000] = MANIFEST;
#elif defined(WRITABLE_MANIFEST)
VMSEC_KEPT_SECTION(".vmsec.manifest") static char vmsec_manifest_[] = MANIFEST;
#else
VMSEC_MANIFEST(MANIFEST);
#endif

#ifdef OTHER_MANIFEST
static const char said[] = "name = \"small\"\nversion = \"9.9\"\n";
#else
#define said vmsec_manifest_
#endif

#ifdef MARK
/* What runs before anybody could look at it: the loader's tests ask whether it did. */
__attribute__((constructor)) static void leave_mark(void) { setenv("VMSEC_TEST_MARK", "1", 1); }
#endif

static void answer(vmsec_reply* reply) {
  static const vmsec_reply empty;
  *reply = empty;
  reply->size = sizeof *reply;
}

static void create(const vmsec_host* host, const void* configuration, size_t size, void** instance,
                   vmsec_reply* reply) {
  static int one;
  (void)host;
  (void)configuration;
  (void)size;
  *instance = &one;
  answer(reply);
}

static void call(void* instance, const vmsec_call* call, vmsec_reply* reply) {
  (void)instance;
  (void)call;
  answer(reply);
}

static void destroy(void* instance) { (void)instance; }

__attribute__((visibility("default"))) const vmsec_module vmsec_module_entry = {
    (uint32_t)(ENTRY_SIZE), ENTRY_MAJOR, NOTE_MINOR, said, sizeof said - 1, create, call, destroy};
