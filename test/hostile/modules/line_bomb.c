#include "hostile.h"

/* More threads that call than there are lines: they wait for each other, and all are answered. */
static void* caller(void* wrong) {
  for (int i = 0; i < 20; ++i)
    if (ask((uint64_t)77 << 32, 1, NULL, 0, NULL, 0) != 201) *(int*)wrong = 1;
  return NULL;
}

static uint32_t do_harm(void) {
  pthread_t threads[150];
  int wrong = 0;
  for (int i = 0; i < 150; ++i)
    if (pthread_create(&threads[i], NULL, caller, &wrong) != 0) return 104;
  for (int i = 0; i < 150; ++i) pthread_join(threads[i], NULL);
  return wrong ? 104 : 201;
}
