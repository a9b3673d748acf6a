/* Text that others wrote, such as a note, a tag or a key, for a terminal. */

#ifndef HOLDFAST_OPS_CLI_SHOWN_H
#define HOLDFAST_OPS_CLI_SHOWN_H

#include "proto/base/limits.h"

/* The longest of these texts, with each byte written as four. */
struct shown {
    char text[4 * NAME_LEN_MAX + 1];
};

/* The text without anything that would move the cursor, change a colour, begin a new line or turn the direction of reading: such
 * bytes are written as \xNN. Bytes that are not UTF-8 are, too. `room` keeps what is returned; what does not fit is left out. */
const char *shown(const char *text, struct shown *room);

#endif
