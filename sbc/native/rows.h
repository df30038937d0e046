/* Where the parts of a message stand. Spans point into what was given; nothing is copied, nothing is kept. */

#ifndef ROWS_H
#define ROWS_H

#include <stdbool.h>
#include <stddef.h>

#define MOST_LINES 256  /* as MAX_HEADERS in sbc/sip/rows.py, the start line included */
#define LONGEST_HEAD 8192 /* as MAX_LINE there: a head that is no longer has no line that is */
#define MOST_PARAMS 32
#define LONGEST_NAME 64 /* of a parameter */

#define UNUSUAL (-1) /* not for us: Python reads it, and finds the words for what is wrong with it */

struct span {
    const char *at;
    size_t length;
};

struct row {
    struct span name, value; /* both without blanks around them */
};

struct param {
    struct span name, value;
    bool has_value;
};

/* The start line and the rows of a head without its empty line; how many rows, or UNUSUAL: a line that is folded or has no colon,
 * CR or LF alone, more than fits. `rows` has room for MOST_LINES. */
int find_rows(const char *head, size_t length, struct span *start, struct row *rows);

/* The parameters of `;name=value;name`; how many, or UNUSUAL: blanks, quotes, an empty name or value, anything beyond ASCII, more
 * than fits. `params` has room for MOST_PARAMS. */
int find_params(const char *text, size_t length, struct param *params);

#endif
