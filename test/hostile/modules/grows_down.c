#include "hostile.h"

/* Memory that grows down is not counted by the kernel's limit. 200 where it cannot be had. */
static uint32_t do_harm(void) {
  const size_t size = (size_t)1 << 30;
  return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0) == MAP_FAILED
             ? 200
             : 0;
}
