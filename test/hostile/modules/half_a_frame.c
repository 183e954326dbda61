#include "hostile.h"

static uint32_t do_harm(void) {
  const unsigned char frame[] = {0, 0, 1, 0, 0x08};
  send_raw(frame, sizeof frame);
  wait_for_ever();
  return 0;
}
