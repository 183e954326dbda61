#include "hostile.h"

/* 200 where no new code can be made. */
static uint32_t do_harm(void) {
  void* page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0) return 0;
  return mmap(NULL, 4096, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? 200 : 0;
}
