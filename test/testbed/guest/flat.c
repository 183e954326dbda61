/* flat.c - a bare multiboot guest of a few kilobytes, whose whole memory can be checked from inside at any time.
 *
 * Every page of the data area holds noise that follows from its number and its generation (how often it was rewritten),
 * so a page that was lost, mixed up or left stale by a migration is found without any reference copy.
 *
 * Command line (key=number, except marker):
 *   marker=TEXT  up to 64 bytes (padded with '.'), written once into every page: what a wire tap should not find
 *   mem=MiB      end of the data area (default: all memory); it begins at 16 MiB
 *   dirty=MiB rate=MiB/s   rewrite the first `dirty` MiB of the data area, round and round
 *   faults=1     rewrite them in no order; print how long it took to reach one, where that was over 50 us
 *   verify=MiB/s speed of the continuous check (default 64, 0: never)
 *   tick=MS      time between two ticks, 10 at least (default 100)
 *   cpu=1        never sleep; print how many loops (of 1000 steps) were done each second: measures a CPU limit
 *   second=1     compute without end on a second CPU, as soon as there is one
 *   disk=1       read the first virtio disk; print bytes each second: measures a disk limit (diskkb=KiB per request,
 * default 1024)
 *   diskwrite=N  write the first N requests' worth of the disk instead, one a tick: the marker over and over, and the
 * request's number in the first word; then print `disk written`
 *
 * Serial output: `tick N` ten times a second (see tick=), N = 1, 2, 3 ... without omission; `verify ok pass=N` or
 * `verify BAD addr=...`; `loops N ms=N`; `disk bytes=N ops=N ms=N`; `dirtied MiB=N`; `fault us=N`.
 *
 * Time comes from the ACPI power management timer (3.579545 MHz), not from counted PIT interrupts: a guest whose CPU is
 * held back misses PIT interrupts, and would measure its own limit wrongly. Both stop while the guest is paused or
 * being switched over (QEMU's virtual clock stands still), so ticks count time in which the guest was runnable. The PIT
 * only ends each hlt. */
#include "hw.h"
#include "second_cpu.h"
#include "virtio_blk.h"

enum {
  kHz = 100,
  kPage = 4096,
  kWords = kPage / 4,
  kMarker = 64,
  kDataStart = 16 << 20,
  kPmTimer = 0x608, /* where SeaBIOS puts it, on i440fx and q35 */
  kPmHz = 3579545,
};
#define kGenerations ((u32*)(4u << 20)) /* one number per page, up to 4 GiB of them */
#define kDiskBuffer ((u8*)(8u << 20))   /* up to 4 MiB */

__attribute__((section(".mb"), used, aligned(4))) static const struct {
  u32 magic, flags, sum;
} multiboot = {0x1BADB002, 3, -(u32)(0x1BADB002 + 3)};

/* ---- command line ---- */

static const char* find_arg(const char* line, const char* key) {
  for (; *line; line++) {
    const char *a = line, *b = key;
    while (*b && *a == *b) a++, b++;
    if (!*b && *a == '=') return a + 1;
    while (*line && *line != ' ') line++;
    if (!*line) return 0;
  }
  return 0;
}
static u32 number_arg(const char* line, const char* key, u32 otherwise) {
  const char* s = find_arg(line, key);
  if (!s) return otherwise;
  u32 v = 0;
  for (; *s >= '0' && *s <= '9'; s++) v = v * 10 + (u32)(*s - '0');
  return v;
}

/* ---- interrupts: only the PIT, only to end hlt ---- */

struct gate {
  u16 low, selector;
  u8 zero, attr;
  u16 high;
} __attribute__((packed));
struct table {
  u16 limit;
  u32 base;
} __attribute__((packed));
static struct gate idt[256];
u64 gdt[3] = {0, 0x00cf9a000000ffffULL, 0x00cf92000000ffffULL};
volatile u32 pit_ticks;
extern void pit_entry(void), fault_entry(void);
__asm__(
    "pit_entry: push %eax\n incl pit_ticks\n mov $0x20,%al\n out %al,$0x20\n pop %eax\n iret\n"
    "fault_entry: cli\n mov $fault_text,%eax\n push %eax\n call fault\n"
    "fault_text: .asciz \"FLAT fault\\n\"\n");
__attribute__((used)) void fault(const char* text) {
  put(text);
  for (;;) halt();
}

static void set_gate(int n, void (*entry)(void)) {
  u32 a = (u32)entry;
  idt[n] = (struct gate){(u16)a, 8, 0, 0x8e, (u16)(a >> 16)};
}
static void set_up_interrupts(void) {
  struct table g = {sizeof gdt - 1, (u32)gdt}, d = {sizeof idt - 1, (u32)idt};
  __asm__ volatile("lgdt %0\n ljmp $8,$1f\n1: mov $16,%%eax\n mov %%eax,%%ds\n mov %%eax,%%es\n mov %%eax,%%ss" ::"m"(g)
                   : "eax");
  for (int i = 0; i < 256; i++) set_gate(i, fault_entry);
  set_gate(32, pit_entry);
  __asm__ volatile("lidt %0" ::"m"(d));
  static const u8 pic[][2] = {{0x20, 0x11}, {0xa0, 0x11}, {0x21, 32}, {0xa1, 40},   {0x21, 4},
                              {0xa1, 2},    {0x21, 1},    {0xa1, 1},  {0x21, 0xfe}, {0xa1, 0xff}};
  for (u32 i = 0; i < sizeof pic / 2; i++) outb(pic[i][0], pic[i][1]);
  u16 divisor = 1193182 / kHz;
  outb(0x43, 0x34);
  outb(0x40, (u8)divisor);
  outb(0x40, (u8)(divisor >> 8));
  __asm__ volatile("sti");
}

/* ---- time ---- */

static u32 pm_last;
static u64 pm_count;
/* Milliseconds since start. Must be called at least every 4.6 s (the timer has 24 bits). */
static u32 now_ms(void) {
  u32 v = inl(kPmTimer) & 0xffffff;
  pm_count += (v - pm_last) & 0xffffff;
  pm_last = v;
  return div64(pm_count * 1000, kPmHz);
}

/* Says how long it takes to reach an address, where that is long. */
static void time_access(const volatile u32* address) {
  u32 before = inl(kPmTimer);
  (void)*address;
  u32 took = (inl(kPmTimer) - before) & 0xffffff;
  if (took > kPmHz / 20000) put("fault us="), put_num(div64((u64)took * 1000000, kPmHz)), put("\n");
}

/* Under QEMU 7.2's emulated CPUs (TCG) a migration can miss what is written to a page without a pause, such as our
 * stack, as long as the CPU's TLB is never flushed; why, was not looked up in QEMU. Guests with paging flush it all the
 * time. */
static void flush_tlb(void) {
  u32 value;
  __asm__ volatile("mov %%cr0,%0" : "=r"(value));
  __asm__ volatile("mov %0,%%cr0" ::"r"(value ^ 0x10000) : "memory");
}

/* ---- memory that can be checked ---- */

static u32 marker[kMarker / 4];
static int has_marker;
static u32 page_count;

static u32* page_at(u32 page) { return (u32*)(kDataStart + page * kPage); }
static u32 noise_seed(u32 page) { return page * 2654435761u ^ kGenerations[page] * 0x9E3779B9u ^ 0x5bd1e995u; }
static u32 noise_next(u32 s) { return s * 1664525u + 1013904223u; }
static u32 marker_word(u32 page) {
  return page % (kPage / kMarker) * (kMarker / 4);
} /* at another place in every page */

static void write_page(u32 page) {
  u32 *p = page_at(page), s = noise_seed(page);
  for (u32 i = 0; i < kWords; i++, s = noise_next(s)) p[i] = s ^ s >> 16;
  if (!has_marker) return;
  p += marker_word(page);
  for (u32 i = 0; i < kMarker / 4; i++) p[i] = marker[i];
}

static int check_page(u32 page) {
  const u32* p = page_at(page);
  u32 s = noise_seed(page), m = has_marker ? marker_word(page) : kWords;
  for (u32 i = 0; i < kWords; i++, s = noise_next(s)) {
    u32 want = i - m < kMarker / 4 ? marker[i - m] : s ^ s >> 16;
    if (p[i] == want) continue;
    put("verify BAD addr="), put_hex((u32)(p + i)), put(" want="), put_hex(want), put(" got="), put_hex(p[i]),
        put("\n");
    return 0;
  }
  return 1;
}

static void set_marker(const char* text) {
  u8* m = (u8*)marker;
  for (u32 i = 0; i < kMarker; i++) m[i] = text && *text && *text != ' ' ? (u8)*text++ : '.';
  has_marker = text != 0;
}

/* ---- work by rate: how many pages are owed for the time that has passed ---- */

struct pace {
  u32 pages_per_s, last_ms, owed;
}; /* owed: in pages * ms */
static u32 pages_due(struct pace* pace, u32 now, u32 most) {
  u32 passed = now - pace->last_ms;
  pace->last_ms = now;
  if (passed > 100) passed = 100; /* a guest that was held back does not catch up */
  pace->owed += passed * pace->pages_per_s;
  u32 due = pace->owed / 1000;
  if (due > most) due = most;
  pace->owed -= due * 1000;
  if (pace->owed > 100 * pace->pages_per_s) pace->owed = 100 * pace->pages_per_s;
  return due;
}

void flat_main(u32 magic, const u32* info) {
  const char* line = magic == 0x2BADB002 && (info[0] & 4) ? (const char*)info[4] : "";
  u32 memory_mib =
      magic == 0x2BADB002 && (info[0] & 1) ? info[2] / 1024 : 31; /* one MiB less than there is: firmware tables */
  set_up_interrupts();
  now_ms();
  pm_count = 0;
  put("FLAT up: "), put(line), put("\n");

  u32 end_mib = number_arg(line, "mem", memory_mib);
  if (end_mib > memory_mib) end_mib = memory_mib;
  if (end_mib > 3 * 1024) end_mib = 3 * 1024;
  page_count = end_mib > 16 ? (end_mib - 16) * 256 : 0;
  set_marker(find_arg(line, "marker"));
  for (u32 i = 0; i < page_count; i++) kGenerations[i] = 1, write_page(i), now_ms();
  put("FLAT filled MiB="), put_num(page_count / 256), put(" ms="), put_num(now_ms()), put("\n");

  u32 dirty_pages = number_arg(line, "dirty", 0) * 256, burn = number_arg(line, "cpu", 0);
  if (dirty_pages > page_count) dirty_pages = page_count;
  u32 timed = number_arg(line, "faults", 0), order = 1;
  struct pace dirty = {dirty_pages ? number_arg(line, "rate", 0) * 256 : 0, now_ms(), 0};
  struct pace verify = {page_count ? number_arg(line, "verify", 64) * 256 : 0, now_ms(), 0};
  u32 chunk = number_arg(line, "diskkb", 1024);
  u32 writes = number_arg(line, "diskwrite", 0), written = 0;
  disk_writes = writes != 0;
  int wants_disk = number_arg(line, "disk", 0) || writes;
  int disk = wants_disk && chunk <= 4096 && disk_start(kDiskBuffer, chunk * 1024);
  if (wants_disk && !disk) put("FLAT no usable virtio disk\n");

  u32 second_cpu = number_arg(line, "second", 0);
  if (second_cpu) second_cpu_prepare();
  u32 period = number_arg(line, "tick", 100);
  if (period < 1000 / kHz) period = 1000 / kHz;
  u32 tick = 0, next_tick = now_ms(), second = now_ms(), loops = 0, spin = 1, pass = 1;
  u32 dirty_at = 0, dirtied = 0, verify_at = 0, bad = 0, disk_ops = 0;
  u64 disk_bytes = 0;
  for (;;) {
    flush_tlb();
    u32 now = now_ms();
    if ((int)(now - next_tick) >= 0) {
      put("tick "), put_num(++tick), put("\n");
      if (second_cpu) second_cpu_poll();
      if (disk && written < writes && !disk_busy) {
        u32* words = (u32*)kDiskBuffer;
        for (u32 i = 0; i < chunk * 256; i++) words[i] = marker[i % (kMarker / 4)];
        words[0] = written;
        disk_submit();
      }
      next_tick += period;
      if ((int)(now - next_tick) >= 0)
        next_tick = now + period; /* late: the numbers stay dense, the pace is taken up anew */
    }
    if (now - second >= 1000) {
      u32 passed = now - second;
      second = now;
      if (burn) put("loops "), put_num(loops), put(" ms="), put_num(passed), put("\n");
      if (disk) {
        put("disk bytes="), put_num64(disk_bytes), put(" ops="), put_num(disk_ops);
        put(" ms="), put_num(passed), put("\n");
      }
      if (dirty.pages_per_s) put("dirtied MiB="), put_num(dirtied / 256), put("\n");
      loops = disk_ops = 0, disk_bytes = 0;
    }
    for (u32 n = pages_due(&dirty, now, 256); n--; dirtied++) {
      if (timed) {
        order ^= order << 13, order ^= order >> 17, order ^= order << 5;
        dirty_at = order % dirty_pages;
        time_access(page_at(dirty_at));
      }
      kGenerations[dirty_at]++;
      write_page(dirty_at);
      if (++dirty_at == dirty_pages) dirty_at = 0;
    }
    for (u32 n = pages_due(&verify, now, 256); n--;) {
      if (bad < 8) bad += !check_page(verify_at); /* a few addresses tell enough */
      if (++verify_at < page_count) continue;
      if (!bad)
        put("verify ok pass="), put_num(pass), put("\n");
      else
        put("verify BAD pass="), put_num(pass), put("\n");
      verify_at = bad = 0, pass++;
    }
    if (disk) {
      u32 got = disk_poll();
      disk_bytes += got, disk_ops += got != 0;
      if (writes && got && ++written == writes) put("disk written\n");
    }
    if (burn) {
      for (u32 i = 0; i < 1000; i++) spin ^= spin << 13, spin ^= spin >> 17, spin ^= spin << 5;
      __asm__ volatile("" ::"r"(spin));
      loops++;
    } else if (!disk || writes) {
      halt();
    }
  }
}

__asm__(
    ".section .text.start\n.globl _start\n_start: cli\n mov $stack_end,%esp\n push %ebx\n push %eax\n call flat_main\n"
    "1: hlt\n jmp 1b\n.bss\n.align 16\n.space 16384\nstack_end:\n.text\n");
