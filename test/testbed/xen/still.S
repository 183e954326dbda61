/* A kernel that stands still: for domains that are defined, and started at most. Small, so that Xen builds them fast.
   PVH begins at 32 bits; a PV guest of it can be built, and does not run. Notes: Xen's public/elfnote.h. */
    .text
    .code32
    .globl _start
_start:
    sti                     /* halted without interrupts it would be taken for off */
    hlt
    jmp _start

    .macro note type, words:vararg
    .long 4, 2f - 1f, \type
    .asciz "Xen"
1:  \words
2:  .balign 4
    .endm

    .section .note.Xen, "a", @note
    .balign 4
    note 18, .long _start            /* PHYS32_ENTRY */
    note 1, .quad _start             /* ENTRY */
    note 3, .quad 0                  /* VIRT_BASE */
    note 4, .quad 0                  /* PADDR_OFFSET */
    note 5, .asciz "xen-3.0"         /* XEN_VERSION */
    note 6, .asciz "still"           /* GUEST_OS */
    note 8, .asciz "generic"         /* LOADER */
    note 9, .asciz "yes"             /* PAE_MODE */
