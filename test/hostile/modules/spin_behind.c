#include "hostile.h"

static void* spin(void* nothing) {
  for (volatile unsigned long turns = 0;; ++turns) continue;
  return nothing;
}

static uint32_t do_harm(void) {
  pthread_t thread;
  pthread_create(&thread, NULL, spin, NULL);
  return 0;
}
