/* Any octets as the head of a message and as parameters: what is found stands in them, in order, and holds nothing that ends it. */

#include "../../../sbc/native/rows.h"

#include "input.h"

static bool holds(struct span span, char octet) { return span.length && memchr(span.at, octet, span.length); }

static bool is_blank(char octet) { return octet == ' ' || octet == '\t'; }

static bool is_trimmed(struct span span) { return !span.length || !(is_blank(span.at[0]) || is_blank(span.at[span.length - 1])); }

static void read_rows(const char *head, size_t size) {
    struct span start;
    struct row *rows = malloc(MOST_LINES * sizeof *rows);
    const char *at = head;
    int count = find_rows(head, size, &start, rows);
    CLAIM(count >= UNUSUAL && count < MOST_LINES);
    CLAIM(count == UNUSUAL || size <= LONGEST_HEAD);
    for (int row = 0; row < count; row++) {
        struct span name = rows[row].name, value = rows[row].value;
        CLAIM(name.at >= at && name.at + name.length < value.at && value.at + value.length <= head + size);
        CLAIM(is_trimmed(name) && is_trimmed(value) && !holds(name, ':'));
        CLAIM(!holds(name, '\r') && !holds(name, '\n') && !holds(value, '\r') && !holds(value, '\n'));
        at = value.at + value.length;
    }
    free(rows);
}

static void read_params(const char *text, size_t size) {
    struct param *params = malloc(MOST_PARAMS * sizeof *params);
    int count = find_params(text, size, params);
    size_t length = 0;
    CLAIM(count >= UNUSUAL && count <= MOST_PARAMS);
    for (int each = 0; each < count; each++) {
        struct param param = params[each];
        CLAIM(param.name.length && param.name.length <= LONGEST_NAME && param.has_value == (param.value.length > 0));
        length += 1 + param.name.length + (param.has_value ? 1 + param.value.length : 0);
    }
    CLAIM(count == UNUSUAL || length == size); /* nothing is left out */
    free(params);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *copy = copy_of(data, size, 0);
    read_rows((const char *)copy, size);
    read_params((const char *)copy, size);
    free(copy);
    return 0;
}
