#include "hostile.h"

#define LARGE ((size_t)64 << 20)

static uint32_t do_harm(void) {
  char* bytes = malloc(LARGE);
  memset(bytes, 1, LARGE);
  return ask(0, 1, bytes, LARGE, NULL, 0); /* limit exceeded, said by its own worker */
}
