#include "hostile.h"

static void* in_a_thread(void* unused) {
  (void)unused;
  open_handle("vmsec.DomainControl");
  char control[CMSG_SPACE(16 * sizeof(int))] = {0};
  char half[] = {0, 0, 1, 0, 0x08};
  struct iovec piece = {half, sizeof half};
  struct msghdr message = {
      .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr* part = CMSG_FIRSTHDR(&message);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(16 * sizeof(int));
  if (sendmsg(own_line(), &message, 0) < 0) abort();
  wait_for_ever();
  return NULL;
}

/* Half a call with as many descriptors as pass: the host would hold them, and has no more than others have. */
static uint32_t do_harm(void) {
  pthread_t thread;
  return pthread_create(&thread, NULL, in_a_thread, NULL) == 0 ? 0 : 1;
}
