/* trampolines: one for each external call.  It asks instrument_call() whether this call fails, with
 * the caller's registers kept (and open to change), and goes on to the real one or answers itself.
 *
 * Runs wherever instrument.c does.  Each stands in a section of its own, so that those of libraries
 * that a program has not are dropped by the linker; that is also why this is no .S file, whose
 * debug information would refer to all of them. */
/* Numbered by the assembler in the order of calls.def, as instrument.c's enum is. */
__asm__(".set number, 0\n"
        ".set POSIX, 0\n .set READS, 1\n .set NULLED, 2\n .set MAPPED, 3\n .set NUMBER, 4\n"
        ".set LIBUV, 5\n .set SQLITE, 6\n .set GNUTLS, 7\n .set JANSSON, 8\n"
        ".macro trampoline symbol, kind\n"
        "    .section .text.__wrap_\\symbol, \"ax\", @progbits\n"
        "    .globl __wrap_\\symbol\n"
        "    .type __wrap_\\symbol, @function\n"
        "    .p2align 4\n"
        "__wrap_\\symbol:\n"
        "    endbr64\n"
        "    movl $(number | (\\kind << 16)), %r11d\n"
        "    movq __real_\\symbol@GOTPCREL(%rip), %r10\n"
        "    .set number, number + 1\n"
        "    jmp instrument_gate\n"
        "    .size __wrap_\\symbol, . - __wrap_\\symbol\n"
        ".endm\n"
        /* r10: the real call, r11: number and kind.  The registers of the arguments are put on the
         * stack as struct instrument_registers has them. */
        ".section .text.instrument_gate, \"ax\", @progbits\n"
        ".type instrument_gate, @function\n"
        "instrument_gate:\n"
        "    pushq %r10\n"
        "    pushq %rax\n"
        "    pushq %r9\n"
        "    pushq %r8\n"
        "    pushq %rcx\n"
        "    pushq %rdx\n"
        "    pushq %rsi\n"
        "    pushq %rdi\n"
        "    movl %r11d, %edi\n"
        "    movq %rsp, %rsi\n"
        "    movq 64(%rsp), %rdx\n"
        "    subq $8, %rsp\n"
        "    call instrument_call\n"
        "    addq $8, %rsp\n"
        "    testl %eax, %eax\n"
        "    popq %rdi\n"
        "    popq %rsi\n"
        "    popq %rdx\n"
        "    popq %rcx\n"
        "    popq %r8\n"
        "    popq %r9\n"
        "    popq %rax\n"
        "    popq %r10\n"
        "    jne 1f\n"
        "    jmp *%r10\n"
        "1:  ret\n"
        ".size instrument_gate, . - instrument_gate\n");

#define CALL(symbol, kind) __asm__("trampoline " #symbol ", " #kind);
#include "calls.def"

/* The compiler's own code of this file, if any, belongs where it always does. */
__asm__(".text");
