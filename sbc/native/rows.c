#include "rows.h"

#include <stdint.h>
#include <string.h>

static bool is_blank(char octet) { return octet == ' ' || octet == '\t'; }

static struct span trimmed(const char *from, const char *to) {
    while (from < to && is_blank(*from))
        from++;
    while (to > from && is_blank(to[-1]))
        to--;
    return (struct span){from, (size_t)(to - from)};
}

/* Where the line ends, which is where the text ends or at a CR with its LF. NULL: CR or LF alone. */
static const char *line_end(const char *line, const char *end) {
    const char *feed = memchr(line, '\n', (size_t)(end - line));
    const char *stop = feed ? feed - 1 : end;
    if (feed && (feed == line || *stop != '\r'))
        return NULL;
    return memchr(line, '\r', (size_t)(stop - line)) ? NULL : stop;
}

int find_rows(const char *head, size_t length, struct span *start, struct row *rows) {
    const char *end = head + length;
    if (length > LONGEST_HEAD)
        return UNUSUAL;
    const char *stop = line_end(head, end);
    if (!stop)
        return UNUSUAL;
    *start = (struct span){head, (size_t)(stop - head)};
    int count = 0;
    while (stop < end) {
        const char *line = stop + 2;
        stop = line_end(line, end);
        if (!stop || stop == line || is_blank(*line) || count == MOST_LINES - 1)
            return UNUSUAL;
        const char *colon = memchr(line, ':', (size_t)(stop - line));
        if (!colon)
            return UNUSUAL;
        rows[count++] = (struct row){trimmed(line, colon), trimmed(colon + 1, stop)};
    }
    return count;
}

enum { VALUE = 1, NAME = 2, BOTH = VALUE | NAME };

/* token of RFC 3261 s25.1; and of a value all that is printable but what ends it or needs quotes: `"` `,` `;` `<` `>`. */
static const uint8_t KIND[256] = {
    ['!'] = BOTH,          ['#' ... '$'] = VALUE, ['%'] = BOTH,          ['&'] = VALUE,        ['\''] = BOTH,         ['(' ... ')'] = VALUE,
    ['*' ... '+'] = BOTH,  ['-' ... '.'] = BOTH,  ['/'] = VALUE,         ['0' ... '9'] = BOTH, [':'] = VALUE,         ['='] = VALUE,
    ['?' ... '@'] = VALUE, ['A' ... 'Z'] = BOTH,  ['[' ... '^'] = VALUE, ['_' ... 'z'] = BOTH, ['{' ... '}'] = VALUE, ['~'] = BOTH,
};

static const char *run_of(int kind, const char *from, const char *end) {
    while (from < end && KIND[(uint8_t)*from] & kind)
        from++;
    return from;
}

int find_params(const char *text, size_t length, struct param *params) {
    const char *at = text, *end = text + length;
    int count = 0;
    while (at < end) {
        if (*at != ';' || count == MOST_PARAMS)
            return UNUSUAL;
        struct param *param = &params[count++];
        const char *name = at + 1;
        at = run_of(NAME, name, end);
        *param = (struct param){{name, (size_t)(at - name)}, {at, 0}, at < end && *at == '='};
        if (!param->name.length || param->name.length > LONGEST_NAME)
            return UNUSUAL;
        if (!param->has_value)
            continue;
        const char *value = at + 1;
        at = run_of(VALUE, value, end);
        param->value = (struct span){value, (size_t)(at - value)};
        if (!param->value.length)
            return UNUSUAL;
    }
    return count;
}
