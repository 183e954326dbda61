#include "hostile.h"

/* Asks for a line of its own while it is loaded, when more is allowed than later. */
__attribute__((constructor)) static void early(void) {
  const unsigned char want[] = {0, 0, 0, 2, 0x08, 13};
  if (write(3, want, sizeof want) < 0) abort();
  wait_for_ever();
}

static uint32_t do_harm(void) { return 0; }
