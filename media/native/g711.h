/* The two laws of ITU-T G.711, each in terms of the other, by the tables of the Recommendation itself (s3, tables 3 and 4). */

#ifndef G711_H
#define G711_H

#include <stddef.h>
#include <stdint.h>

enum law { AS_IT_IS, TO_A_LAW, TO_MU_LAW, LAWS };

/* In place. `law` is not AS_IT_IS. */
void g711_translate(uint8_t *octets, size_t count, enum law law);

#endif
