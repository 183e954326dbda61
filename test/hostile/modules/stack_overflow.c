#include "hostile.h"

static int deeper(volatile int depth) {
  volatile char room[4096];
  room[0] = (char)depth;
  return deeper(depth + 1) + room[0];
}

static uint32_t do_harm(void) { return (uint32_t)deeper(0); }
