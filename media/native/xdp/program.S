/* The XDP program as the compiler made it. */
.section .rodata
.balign 8
.global xdp_program, xdp_program_end
.hidden xdp_program, xdp_program_end
xdp_program:
.incbin PROGRAM
xdp_program_end:
.section .note.GNU-stack, "", %progbits
