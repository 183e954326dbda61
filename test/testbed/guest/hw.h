/* hw.h - the few pieces of PC hardware that the flat guest touches: ports, serial, PCI configuration, a clock. */
#pragma once
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

static inline void outb(u16 port, u8 v) { __asm__ volatile("outb %0,%1" ::"a"(v), "Nd"(port)); }
static inline void outw(u16 port, u16 v) { __asm__ volatile("outw %0,%1" ::"a"(v), "Nd"(port)); }
static inline void outl(u16 port, u32 v) { __asm__ volatile("outl %0,%1" ::"a"(v), "Nd"(port)); }
static inline u8 inb(u16 port) {
  u8 v;
  __asm__ volatile("inb %1,%0" : "=a"(v) : "Nd"(port));
  return v;
}
static inline u16 inw(u16 port) {
  u16 v;
  __asm__ volatile("inw %1,%0" : "=a"(v) : "Nd"(port));
  return v;
}
static inline u32 inl(u16 port) {
  u32 v;
  __asm__ volatile("inl %1,%0" : "=a"(v) : "Nd"(port));
  return v;
}
static inline void halt(void) { __asm__ volatile("hlt"); }

static inline void put_char(char c) {
  while (!(inb(0x3fd) & 0x20)) {
  }
  outb(0x3f8, (u8)c);
}
static inline void put(const char* s) {
  for (; *s; s++) put_char(*s);
}
static inline void put_num(u32 n) {
  char b[11];
  int i = 10;
  b[10] = 0;
  do b[--i] = (char)('0' + n % 10);
  while (n /= 10);
  put(b + i);
}
static inline void put_hex(u32 n) {
  put("0x");
  for (int shift = 28; shift >= 0; shift -= 4) put_char("0123456789abcdef"[n >> shift & 15]);
}

static inline u32 pci_read(u32 slot, u32 reg) {
  outl(0xcf8, 0x80000000u | slot << 11 | reg);
  return inl(0xcfc);
}
static inline void pci_write(u32 slot, u32 reg, u32 v) {
  outl(0xcf8, 0x80000000u | slot << 11 | reg);
  outl(0xcfc, v);
}

/* Divides a 64-bit number by 32 bits without libgcc; the quotient must fit 32 bits. */
static inline u32 div64(u64 n, u32 d) {
  u32 q, r;
  __asm__("divl %4" : "=a"(q), "=d"(r) : "a"((u32)n), "d"((u32)(n >> 32) % d), "r"(d) : "cc");
  return q;
}

static inline void put_num64(u64 n) {
  u32 high = div64(n, 1000000000), low = (u32)(n - (u64)high * 1000000000);
  if (high) {
    put_num(high);
    for (u32 d = 100000000; d > low && d > 1; d /= 10) put_char('0');
  }
  put_num(low);
}
