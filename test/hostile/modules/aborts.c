#include "hostile.h"

static uint32_t do_harm(void) { abort(); }
