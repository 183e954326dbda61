#include "hostile.h"

static uint32_t do_harm(void) { return kill(-1, SIGKILL) == 0 ? 0 : 104; }
