#include "hostile.h"

__attribute__((constructor)) static void early(void) { abort(); }

static uint32_t do_harm(void) { return 0; }
