#include "hostile.h"

static uint32_t do_harm(void) {
  for (;;) {
    char* more = malloc(1 << 20);
    memset(more, 1, 1 << 20);
  }
}
