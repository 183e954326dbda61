#include "hostile.h"

__attribute__((constructor)) static void early(void) { wait_for_ever(); }

static uint32_t do_harm(void) { return 0; }
