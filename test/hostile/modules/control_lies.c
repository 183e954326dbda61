#include "hostile.h"

/* Says on the control socket that it is ready, once more. */
static uint32_t do_harm(void) {
  const unsigned char ready[] = {0, 0, 0, 2, 0x08, 11};
  if (write(3, ready, sizeof ready) < 0) abort();
  wait_for_ever();
  return 0;
}
