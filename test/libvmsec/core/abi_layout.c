/* The door of ABI 1.0, member by member, as a C compiler sees it: modules that were built against it are out there. New
 * members come after these; none of these lines ever changes. */
#include "vmsec/abi.h"

#define AT(type, member, offset) _Static_assert(offsetof(type, member) == (offset), #type "." #member " has moved")
#define HOLDS(type, bytes) _Static_assert(sizeof(type) >= (bytes), #type " has shrunk")

_Static_assert(sizeof(void*) == 8 && sizeof(size_t) == 8, "the offsets are those of 64 bits");
_Static_assert(VMSEC_ABI_MAJOR == 1, "another major version has another file");

AT(vmsec_call, size, 0);
AT(vmsec_call, method, 4);
AT(vmsec_call, handle, 8);
AT(vmsec_call, interface_name, 16);
AT(vmsec_call, interface_name_size, 24);
AT(vmsec_call, data, 32);
AT(vmsec_call, data_size, 40);
AT(vmsec_call, fds, 48);
AT(vmsec_call, fd_count, 56);
HOLDS(vmsec_call, 64);

AT(vmsec_reply, size, 0);
AT(vmsec_reply, code, 4);
AT(vmsec_reply, data, 8);
AT(vmsec_reply, data_size, 16);
AT(vmsec_reply, fds, 24);
AT(vmsec_reply, fd_count, 32);
AT(vmsec_reply, release, 40);
AT(vmsec_reply, owner, 48);
HOLDS(vmsec_reply, 56);

AT(vmsec_host, size, 0);
AT(vmsec_host, abi_major, 4);
AT(vmsec_host, abi_minor, 8);
AT(vmsec_host, context, 16);
AT(vmsec_host, call, 24);
HOLDS(vmsec_host, 32);

AT(vmsec_module, size, 0);
AT(vmsec_module, abi_major, 4);
AT(vmsec_module, abi_minor, 8);
AT(vmsec_module, manifest, 16);
AT(vmsec_module, manifest_size, 24);
AT(vmsec_module, create, 32);
AT(vmsec_module, call, 40);
AT(vmsec_module, destroy, 48);
HOLDS(vmsec_module, 56);

AT(vmsec_abi_note, size, 0);
AT(vmsec_abi_note, abi_major, 4);
AT(vmsec_abi_note, abi_minor, 8);
HOLDS(vmsec_abi_note, 12);
_Static_assert(VMSEC_MODULE_SIZE_1_0 == 56, "the entry of version 1.0 has moved");

/* Of its own accord a translation unit is not empty. */
extern const unsigned vmsec_test_abi_minor;
const unsigned vmsec_test_abi_minor = VMSEC_ABI_MINOR;
