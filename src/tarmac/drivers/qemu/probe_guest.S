/*
 * The guest of the accelerator probe: a 4 KiB firmware that does what a 64-bit kernel does in its first milliseconds,
 * and says how far it came. It tells each stage by a letter on the debug console (port 0xe9) and ends QEMU through
 * isa-debug-exit (port 0xf4) with 0x2a.
 *
 *   r  real mode, the first instruction          f  a page fault in long mode, handled by mapping the page
 *   p  protected mode                            g  a model-specific register (GS base) written and used
 *   l  long mode with paging                     c  CPUID says long mode
 *   m  two addresses on one page, remapped       t  the timer's interrupt wakes the processor from HLT
 *   u  ring 3 and back                           s  50 million loops: at the speed of a processor, or of an emulator?
 *
 * It lies at 0xff000 (the last 4 KiB of the BIOS area). GDT entries have the accessed bit set beforehand, because this is
 * read-only memory. `probe_guest.py` holds the same bytes; a test assembles this file and compares.
 *
 * Memory: 0x1000 PML4, 0x2000 PDPT, 0x3000 PD (2 MiB pages), 0x4000 PT for 0x400000-0x5fffff, 0x5000 IDT, 0x6000 TSS,
 * 0x6800 GDT copy, 0x7000 and 0x8000 two data pages, 0x9000 PD for 3-4 GiB, stacks below 0xb000, 0xc000 and 0xd000.
 */
        .set BASE, 0xff000
        .code16
start:
        cli
        movb    $'r', %al
        outb    %al, $0xe9
        lgdtl   %cs:(gdt_pointer - start + 0xf000)
        movl    %cr0, %eax
        andl    $0x9fffffff, %eax       /* caches on: CD and NW off */
        orl     $1, %eax                /* PE */
        movl    %eax, %cr0
        ljmpl   $0x08, $(BASE + protected - start)

        .code32
protected:
        movl    $0x10, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movl    $0xc000, %esp
        movb    $'p', %al
        outb    %al, $0xe9
        cld
        movl    $0x1000, %edi           /* clear all tables */
        xorl    %eax, %eax
        movl    $0x2400, %ecx
        rep stosl
        movl    $0x2007, 0x1000         /* PML4[0] -> PDPT, present, writable, user */
        movl    $0x3007, 0x2000         /* PDPT[0] -> PD */
        movl    $0x87, 0x3000           /* 0-2 MiB: one large page onto itself */
        movl    $0x9003, 0x2018         /* PDPT[3] -> another PD: the interrupt controller's page, not cached */
        movl    $0xfee00093, 0x9fb8
        movl    $0x4007, 0x3010         /* 4-6 MiB: 4 KiB pages by the PT */
        movl    $0x7007, 0x4000         /* 0x400000 -> 0x7000 */
        movl    $0x7007, 0x4008         /* 0x401000 -> 0x7000 as well */
        movl    %cr4, %eax
        orl     $0xa0, %eax             /* PAE, PGE */
        movl    %eax, %cr4
        movl    $0x1000, %eax
        movl    %eax, %cr3
        movl    $0xc0000080, %ecx       /* EFER */
        rdmsr
        orl     $0x100, %eax            /* LME */
        wrmsr
        movl    %cr0, %eax
        orl     $0x80010000, %eax       /* PG, WP */
        movl    %eax, %cr0
        ljmpl   $0x18, $(BASE + long_mode - start)

        .code64
long_mode:
        movb    $'l', %al
        outb    %al, $0xe9

remap:
        /* Two addresses, one page; then another page behind the second. */
        movl    $0x12345678, 0x400010
        cmpl    $0x12345678, 0x401010
        jne     failed
        movl    $0x87654321, 0x8010
        movl    $0x8007, 0x4008
        invlpg  0x401000
        cmpl    $0x87654321, 0x401010
        jne     failed
        movb    $'m', %al
        outb    %al, $0xe9

fault:
        /* An IDT with a page fault handler, the timer's, and a gate that ring 3 may use. */
        movl    $0x50e0, %edi           /* vector 14 */
        movl    $(BASE + page_fault - start), %eax
        movb    $0x8e, %dl
        call    set_gate
        movl    $0x5200, %edi           /* vector 32 */
        movl    $(BASE + timer - start), %eax
        call    set_gate
        movl    $0x5300, %edi           /* vector 48 */
        movl    $(BASE + back - start), %eax
        movb    $0xee, %dl
        call    set_gate
        lidt    (BASE + idt_pointer - start)
        xorl    %ebx, %ebx
        movl    $0xcafe, 0x402020       /* not mapped: the handler maps it */
        cmpl    $1, %ebx
        jne     failed
        cmpl    $0xcafe, 0x402020
        jne     failed
        movb    $'f', %al
        outb    %al, $0xe9

msr:
        /* GS base by MSR, as every kernel does for its per-processor data. */
        movl    $0xc0000101, %ecx
        movl    $0x400000, %eax
        xorl    %edx, %edx
        wrmsr
        cmpl    $0x12345678, %gs:0x10
        jne     failed
        movb    $'g', %al
        outb    %al, $0xe9

long_mode_bit:
        movl    $0x80000001, %eax
        cpuid
        btl     $29, %edx
        jnc     failed
        movb    $'c', %al
        outb    %al, $0xe9

ring3:
        /* To ring 3 and back: a TSS with a stack, a writable copy of the GDT (the TSS is marked busy in it). */
        movl    $(BASE + gdt - start), %esi
        movl    $0x6800, %edi
        movl    $16, %ecx
        rep movsl
        lgdt    (BASE + gdt_copy_pointer - start)
        movl    $0xd000, 0x6004         /* RSP0 */
        movl    $0x30, %eax
        ltr     %ax
        movl    %esp, %ebp
        pushq   $0x2b                   /* SS: user data */
        pushq   $0xb000
        pushq   $0x2                    /* flags */
        pushq   $0x23                   /* CS: user code */
        pushq   $(BASE + user - start)
        iretq
user:
        movl    $0x5a5a, %ebx
        int     $48
        ud2
back:
        movl    %ebp, %esp
        cmpl    $0x5a5a, %ebx
        jne     failed
        movb    $'u', %al
        outb    %al, $0xe9

tick:
        /* The local interrupt controller's timer, about 1 kHz: its ticks must end HLT. */
        movl    $0xfee00000, %esi
        movl    $0x1ff, 0xf0(%rsi)      /* spurious vector 255, enabled */
        movl    $0xb, 0x3e0(%rsi)       /* divide by 1 */
        movl    $0x20020, 0x320(%rsi)   /* periodic, vector 32 */
        movl    $1000000, 0x380(%rsi)   /* of 1 GHz */
        xorl    %ebx, %ebx
1:      sti
        hlt
        cli
        cmpl    $3, %ebx
        jb      1b
        movl    $0x10000, 0x320(%rsi)   /* masked again */
        movb    $'t', %al
        outb    %al, $0xe9

speed:
        movl    $50000000, %ecx
2:      decl    %ecx
        jnz     2b
        movb    $'s', %al
        outb    %al, $0xe9
        movb    $0x2a, %al
        jmp     leave
failed:
        movb    $0x01, %al
leave:
        outb    %al, $0xf4
3:      hlt
        jmp     3b

set_gate:                               /* edi: gate, eax: handler below 1 MiB, dl: type */
        movw    %ax, (%rdi)
        movw    $0x18, 2(%rdi)
        movb    $0, 4(%rdi)
        movb    %dl, 5(%rdi)
        shrl    $16, %eax
        movw    %ax, 6(%rdi)
        ret

page_fault:                             /* maps 0x402000 to 0x8000 and lets the instruction run again */
        pushq   %rax
        movq    %cr2, %rax
        cmpl    $0x402020, %eax
        jne     failed
        movl    $0x8007, 0x4010
        incl    %ebx
        popq    %rax
        addq    $8, %rsp                /* the error code */
        iretq

timer:
        incl    %ebx
        movl    $0, 0xb0(%rsi)          /* end of interrupt */
        iretq

        .balign 8
gdt:
        .quad   0
        .quad   0x00cf9b000000ffff      /* 08 code, 32 bit */
        .quad   0x00cf93000000ffff      /* 10 data */
        .quad   0x00af9b000000ffff      /* 18 code, 64 bit */
        .quad   0x00affb000000ffff      /* 20 user code, 64 bit */
        .quad   0x00cff3000000ffff      /* 28 user data */
        .quad   0x0000890060000067      /* 30 TSS at 0x6000 */
        .quad   0
gdt_pointer:
        .word   63
        .long   BASE + gdt - start
gdt_copy_pointer:
        .word   63
        .quad   0x6800
idt_pointer:
        .word   0x30f
        .quad   0x5000

        .org    0xff0
        .code16
reset:
        ljmpw   $0xf000, $0xf000        /* the reset vector: to `start`, leaving the high alias */
        .org    0x1000
