#include "hostile.h"

/* The constructor never returns, so that the worker never closes the second stage of its filter: it says itself that
 * it is ready, serves the host's calls, and tries what only loading needs. Code::denied is 200. */
static int receive_line(void) {
  char bytes[512];
  char control[CMSG_SPACE(sizeof(int))];
  struct iovec piece = {bytes, sizeof bytes};
  struct msghdr message = {
      .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  int fd = -1;
  if (recvmsg(3, &message, 0) <= 0 || CMSG_FIRSTHDR(&message) == NULL) abort();
  memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
  return fd;
}

static int can_load(void) {
  const int file = open("/module.so", O_RDONLY);
  if (file < 0) return 0;
  return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0) != MAP_FAILED;
}

__attribute__((constructor)) static void early(void) {
  const unsigned char ready[] = {0, 0, 0, 2, 0x08, 11};
  if (write(3, ready, sizeof ready) < 0) abort();
  const int fd = receive_line();
  for (;;) {
    unsigned char request[4096];
    const ssize_t size = read(fd, request, sizeof request);
    if (size <= 0) _exit(0);
    const unsigned char done[] = {0, 0, 0, 2, 0x08, 2};
    const unsigned char denied[] = {0, 0, 0, 10, 0x08, 2, 0x28, 0xc8, 0x01, 0x3a, 3, 0x08, 0xc8, 0x01};
    const int harm = memmem(request, (size_t)size, "\x20\x02", 2) != NULL;
    const int refused = harm && !can_load();
    if (write(fd, refused ? denied : done, refused ? sizeof denied : sizeof done) < 0) _exit(0);
  }
}

static uint32_t do_harm(void) { return 0; }
