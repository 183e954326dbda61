#define IN_DESTROY 1
#include "hostile.h"

static uint32_t do_harm(void) { abort(); }
