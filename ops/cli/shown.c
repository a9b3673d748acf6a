/* Text for a terminal, which obeys some of it. */

#include "shown.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/bytes.h"

#define ESCAPED_LEN 4u /* \xNN */

/* How many bytes from here on are a character that a terminal obeys; 0: none. In valid UTF-8. */
static size_t obeyed(const unsigned char *text)
{
    if (text[0] < 0x20 || text[0] == 0x7f) {
        return 1;
    }
    if (text[0] == 0xc2 && text[1] < 0xa0) { /* U+0080 to U+009F, with the control sequence introducer. */
        return 2;
    }
    bool mark = text[0] == 0xe2 && text[1] == 0x80 && (text[2] == 0x8e || text[2] == 0x8f);
    bool embedding =
        text[0] == 0xe2 && text[1] == 0x80 && text[2] >= 0xa8 && text[2] <= 0xae; /* And line separators. */
    bool isolate = text[0] == 0xe2 && text[1] == 0x81 && text[2] >= 0xa6 && text[2] <= 0xa9;
    return mark || embedding || isolate ? 3 : 0;
}

const char *shown(const char *text, struct shown *room)
{
    const unsigned char *bytes = (const unsigned char *)text;
    bool utf8 = bytes_are_utf8(text, strlen(text));
    size_t len = 0;
    size_t escaped = 0; /* So many bytes are still of one that is not shown. */
    for (size_t i = 0; bytes[i] != '\0' && len + ESCAPED_LEN < sizeof room->text; i++) {
        if (escaped == 0) {
            escaped = utf8 || bytes[i] < 0x80 ? obeyed(bytes + i) : 1;
        }
        if (escaped > 0) {
            escaped--;
            len += (size_t)snprintf(room->text + len, ESCAPED_LEN + 1, "\\x%02x", bytes[i]);
        } else {
            room->text[len++] = (char)bytes[i];
        }
    }
    room->text[len] = '\0';
    return room->text;
}
