/* A fault that only who looks for it finds: proves that driver and sanitizers can fail. */

#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *copy = copy_of(data, size, 0);
    volatile uint8_t beyond = 0;
    if (size > 3 && copy[0] == 'B' && copy[1] == 'U' && copy[2] == 'G')
        beyond = copy[size];
    (void)beyond;
    free(copy);
    return 0;
}
