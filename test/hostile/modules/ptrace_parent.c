#include "hostile.h"

#include <sys/ptrace.h>
#include <sys/types.h>

static uint32_t do_harm(void) { return ptrace(PTRACE_ATTACH, 1, NULL, NULL) == 0 ? 0 : 104; }
