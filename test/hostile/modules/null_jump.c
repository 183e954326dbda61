#include "hostile.h"

static uint32_t do_harm(void) {
  uint32_t (*volatile nowhere)(void) = NULL;
  return nowhere();
}
