/* virtio_blk.h - reads a virtio disk from start to end and round again, or writes it: legacy PCI interface, one request
 * in flight, polled. The disk is polled rather than waited for, so that a throttled request does not stop the guest's
 * ticks. */
#pragma once
#include "hw.h"

enum { kRingMax = 256, kSector = 512 };
struct vring_desc {
  u64 addr;
  u32 len;
  u16 flags, next;
};
struct vring_used_elem {
  u32 id, len;
};
static u8 ring_memory[3 * 4096] __attribute__((aligned(4096)));
static struct {
  u32 type, reserved;
  u64 sector;
} disk_header;
static volatile u8 disk_status;
static u16 disk_port, disk_ring_size, disk_submitted;
static int disk_writes, disk_busy;
static u32 disk_chunk;
static u64 disk_sectors, disk_next;
static u8* disk_buffer;

static volatile u16* disk_avail(void) { return (volatile u16*)(ring_memory + 16u * disk_ring_size); }
static volatile u16* disk_used(void) {
  u32 end = 16u * disk_ring_size + 6 + 2u * disk_ring_size;
  return (volatile u16*)(ring_memory + ((end + 4095) & ~4095u));
}

static void disk_submit(void) {
  struct vring_desc* d = (struct vring_desc*)ring_memory;
  if (disk_next + disk_chunk / kSector > disk_sectors) disk_next = 0;
  disk_header.type = disk_writes ? 1 : 0; /* VIRTIO_BLK_T_OUT, _IN */
  disk_busy = 1;
  disk_header.sector = disk_next;
  d[0] = (struct vring_desc){(u32)&disk_header, 16, 1, 1};
  d[1] = (struct vring_desc){(u32)disk_buffer, disk_chunk, (u16)(disk_writes ? 1 : 1 | 2), 2};
  d[2] = (struct vring_desc){(u32)&disk_status, 1, 2, 0};
  volatile u16* avail = disk_avail();
  avail[2 + disk_submitted % disk_ring_size] = 0;
  __asm__ volatile("" ::: "memory");
  avail[1] = ++disk_submitted;
  __asm__ volatile("" ::: "memory");
  outw(disk_port + 16, 0);
}

/* Finds the first virtio disk, and starts reading it unless it is to be written. Returns 0 when there is none. */
static int disk_start(u8* buffer, u32 chunk) {
  u32 slot = 0;
  while (slot < 32 && pci_read(slot, 0) != 0x10011af4) slot++;
  if (slot == 32) return 0;
  pci_write(slot, 4, pci_read(slot, 4) | 5); /* I/O space, bus master */
  disk_port = (u16)(pci_read(slot, 0x10) & ~3u);
  outb(disk_port + 18, 0);
  outb(disk_port + 18, 1 | 2); /* ACKNOWLEDGE, DRIVER */
  outl(disk_port + 4, 0);      /* no optional features */
  outw(disk_port + 14, 0);
  disk_ring_size = inw(disk_port + 12);
  if (disk_ring_size == 0 || disk_ring_size > kRingMax) return 0;
  outl(disk_port + 8, (u32)ring_memory / 4096);
  *disk_avail() = 1; /* no interrupts */
  outb(disk_port + 18, 1 | 2 | 4);
  disk_sectors = inl(disk_port + 20) | (u64)inl(disk_port + 24) << 32;
  disk_buffer = buffer;
  disk_chunk = chunk;
  if (disk_sectors < chunk / kSector) return 0;
  if (!disk_writes) disk_submit();
  return 1;
}

/* Returns the bytes of a request that has just been completed (and starts the next read), or 0. */
static u32 disk_poll(void) {
  if (!disk_busy || disk_used()[1] != disk_submitted) return 0;
  disk_busy = 0;
  if (disk_status != 0) put("disk error\n");
  disk_next += disk_chunk / kSector;
  if (!disk_writes) disk_submit();
  return disk_chunk;
}
