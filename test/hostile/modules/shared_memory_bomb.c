#include "hostile.h"

/* Shared memory is nobody's, so no budget would hold it. */
static uint32_t do_harm(void) {
  void* more = mmap(NULL, (size_t)1 << 32, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return more == MAP_FAILED && errno == EACCES ? 200 : 0;
}
