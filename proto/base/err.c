/* Texts and names of the error codes. */

#include "proto/base/err.h"

const char *err_text(int err)
{
    switch (err) {
    case 0: return "done";
#define X(name, number, text)                                                                                          \
    case -(number): return text;
        ERR_LIST(X)
#undef X
    default: return "unknown error";
    }
}

const char *err_name(int err)
{
    switch (err) {
    case 0: return "NONE";
#define X(name, number, text)                                                                                          \
    case -(number): return #name;
        ERR_LIST(X)
#undef X
    default: return "UNKNOWN";
    }
}
