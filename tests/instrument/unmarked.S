/* What the marks of basic blocks call in programs that are built beside the instrumented ones, and
 * use the same libraries.  Weak: instrument.c's own comes before it. */
    .text
    .weak __sanitizer_cov_trace_pc
    .type __sanitizer_cov_trace_pc, @function
__sanitizer_cov_trace_pc:
    ret
    .size __sanitizer_cov_trace_pc, . - __sanitizer_cov_trace_pc

    .section .note.GNU-stack, "", @progbits
