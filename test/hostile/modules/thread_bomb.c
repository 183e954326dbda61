#include "hostile.h"

static void* sleeper(void* nothing) {
  wait_for_ever();
  return nothing;
}

static uint32_t do_harm(void) {
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 16384);
  pthread_t thread;
  while (pthread_create(&thread, &small, sleeper, NULL) == 0) continue;
  wait_for_ever();
  return 0;
}
