/* second_cpu.h - a second CPU, once there is one, computes without end. */
#pragma once
#include "hw.h"

enum { kTrampoline = 0x7000 }; /* below 1 MiB, page aligned, used by nobody after boot */
#define kApicCommand ((volatile u32*)0xfee00300)
#define kApicTarget ((volatile u32*)0xfee00310)

volatile u32 second_runs;
extern const u8 second_begin[], second_end[];

/* Real mode, at kTrampoline; then the same segments as the first CPU. */
__asm__(
    ".code16\n"
    "second_begin: cli\n xorw %ax,%ax\n movw %ax,%ds\n lgdtl 0x7000+second_table-second_begin\n"
    " movl %cr0,%eax\n orl $1,%eax\n movl %eax,%cr0\n ljmpl $8,$second_entry\n"
    "second_table: .word 23\n .long gdt\n"
    "second_end:\n"
    ".code32\n"
    "second_entry: mov $16,%eax\n mov %eax,%ds\n mov %eax,%es\n mov %eax,%ss\n mov $second_stack_end,%esp\n"
    " call second_main\n"
    ".bss\n.align 16\n.space 1024\nsecond_stack_end:\n.text\n");

__attribute__((used)) void second_main(void) {
  second_runs = 1;
  for (volatile u32 i = 0;; i++) {
  }
}

/* As a kernel with ACPI CPU hotplug does on the machine i440fx: a CPU can then be asked for. This guest never lets go.
 */
static void second_cpu_prepare(void) { outl(0xaf00, 0); }

/* Asks for it; nobody answers where it is not there yet. */
static void second_cpu_poll(void) {
  if (second_runs) return;
  u8* to = (u8*)kTrampoline;
  for (u32 i = 0; second_begin + i < second_end; i++) to[i] = second_begin[i];
  *kApicTarget = 1u << 24;
  *kApicCommand = 0x4500; /* INIT */
  *kApicTarget = 1u << 24;
  *kApicCommand = 0x4600 | kTrampoline >> 12; /* start up */
}
