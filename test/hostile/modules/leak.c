#include "hostile.h"

static uint32_t do_harm(void) {
  for (;;) {
    char* more = malloc(1 << 20);
    if (more == NULL) wait_for_ever();
    memset(more, 1, 1 << 20);
  }
}
