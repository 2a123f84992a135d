# Boot stub: entered in 32-bit protected mode at its first byte (Linux boot protocol, %esi = boot_params).
	.code32
	.globl _start
_start:
	cli
	cld
	leal	0x1e8(%esi), %esp	# BP_scratch + 4: the only memory that is ours before we know where we are
	call	1f
1:	popl	%ebp
	subl	$(1b - _start), %ebp	# base of the loaded file, page aligned
	leal	0x8000(%ebp), %esp
	leal	0x1000(%ebp), %edi	# page tables: PML4, PDPT, four PDs with 2 MiB pages for the first 4 GiB
	movl	$(6 * 1024), %ecx
	xorl	%eax, %eax
	rep stosl
	leal	0x2007(%ebp), %eax
	movl	%eax, 0x1000(%ebp)
	leal	0x3007(%ebp), %eax
	leal	0x2000(%ebp), %edi
	movl	$4, %ecx
2:	movl	%eax, (%edi)
	addl	$0x1000, %eax
	addl	$8, %edi
	loop	2b
	leal	0x3000(%ebp), %edi
	movl	$0x83, %eax
	movl	$2048, %ecx
3:	movl	%eax, (%edi)
	addl	$0x200000, %eax
	addl	$8, %edi
	loop	3b
	movl	%cr4, %eax
	orl	$0x20, %eax		# PAE
	movl	%eax, %cr4
	leal	0x1000(%ebp), %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx	# EFER.LME
	rdmsr
	orl	$0x100, %eax
	wrmsr
	leal	(gdt - _start)(%ebp), %eax
	movl	%eax, (gdt - _start + 2)(%ebp)
	lgdt	(gdt - _start)(%ebp)
	pushl	$0x10
	leal	(long - _start)(%ebp), %eax
	pushl	%eax
	movl	%cr0, %eax
	orl	$0x80000001, %eax
	movl	%eax, %cr0
	lret

	.code64
long:	movl	$0x18, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	%esi, %ebx		# boot_params; the upper halves are undefined after the switch
	movl	%ebp, %ebp
	leaq	0x8000(%rbp), %rsi	# blocks: u32 length, LZ4 block data; length 0 ends
	movl	(dest - _start)(%rbp), %edi
block:	lodsl
	testl	%eax, %eax
	jz	done
	leaq	(%rsi, %rax), %r8
seq:	xorl	%eax, %eax
	lodsb
	movl	%eax, %edx
	shrl	$4, %eax
	cmpl	$15, %eax
	jne	5f
4:	movzbl	(%rsi), %ecx
	incq	%rsi
	addl	%ecx, %eax
	cmpl	$255, %ecx
	je	4b
5:	leaq	(%rdi, %rax), %r9
	leaq	(%rsi, %rax), %r10
6:	movq	(%rsi), %rax		# copies in eights; what is written too far is overwritten next
	movq	%rax, (%rdi)
	addq	$8, %rsi
	addq	$8, %rdi
	cmpq	%r9, %rdi
	jb	6b
	movq	%r9, %rdi
	movq	%r10, %rsi
	cmpq	%r8, %rsi
	jae	block
	lodsw
	movzwl	%ax, %eax
	movq	%rdi, %r10
	subq	%rax, %r10
	andl	$15, %edx
	cmpl	$15, %edx
	jne	8f
7:	movzbl	(%rsi), %ecx
	incq	%rsi
	addl	%ecx, %edx
	cmpl	$255, %ecx
	je	7b
8:	leaq	4(%rdi, %rdx), %r9
	cmpl	$8, %eax
	jb	10f
9:	movq	(%r10), %rax
	movq	%rax, (%rdi)
	addq	$8, %r10
	addq	$8, %rdi
	cmpq	%r9, %rdi
	jb	9b
	movq	%r9, %rdi
	jmp	seq
10:	movb	(%r10), %al		# overlapping match: byte by byte
	movb	%al, (%rdi)
	incq	%r10
	incq	%rdi
	cmpq	%r9, %rdi
	jb	10b
	jmp	seq
done:	movl	(entry - _start)(%rbp), %eax
	movl	%ebx, %esi
	jmp	*%rax

	.balign	8
gdt:	.word	31, 0, 0, 0		# the null entry holds the descriptor for lgdt
	.quad	0
	.quad	0x00af9b000000ffff	# 0x10: 64-bit code
	.quad	0x00cf93000000ffff	# 0x18: data
dest:	.long	0
entry:	.long	0
