#include "hostile.h"

static uint32_t do_harm(void) {
  for (;;)
    if (fork() < 0) return 104;
}
