#include "hostile.h"

/* Its control line, for what it says alone: it stays open for what the host says. */
static uint32_t do_harm(void) { return shutdown(3, SHUT_WR) == 0 ? 0 : 104; }
