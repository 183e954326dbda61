#include "hostile.h"

static uint32_t do_harm(void) { return socket(AF_INET, SOCK_STREAM, 0) >= 0 ? 0 : 104; }
