/* A data directory's insides, shared by its files. */

#ifndef HOLDFAST_NODE_DATA_DIR_PRIVATE_H
#define HOLDFAST_NODE_DATA_DIR_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/data_dir.h"
#include "proto/base/limits.h"

/* Larger files are not ours: the lines of DATA_DIR_PEERS_MAX nodes, those given up, and some more. */
#define DATA_DIR_TEXT_LEN_MAX (256u * 1024u)

#define DATA_DIR_WHY_LEN_MAX 256u

/* Another node's directory, and what it last said of its starts. */
struct data_dir_peer {
    uint64_t node;
    uint64_t incarnation;
    uint64_t starts; /* 0: it has not said. */
    uint64_t stamp;  /* Of that start. */
};

/* What the count of starts knows besides. But for RECOVERY a fact of DATA/starts never goes; an earlier program that counts a start
 * forgets all, or keeps those that it does not know of. In the shard's last-start each start writes anew what is true of it. */
enum data_dir_fact {
    DATA_DIR_FACT_TAKEN = 1,     /* The node takes part, whatever has become of the file `part`. */
    DATA_DIR_FACT_PEERS = 2,     /* The file `peers` has been written: it must be there. */
    DATA_DIR_FACT_SHARD = 4,     /* So has last-start, in the directory of the shard. */
    DATA_DIR_FACT_LOG = 8,       /* Of that file alone: so has the one in the directory of the log. */
    DATA_DIR_FACT_RECOVERY = 16, /* A forced recovery has been begun, and is not done. */
};

/* The starts of a directory, as of a file that counts them. */
struct data_dir_starts {
    uint64_t count;                       /* 0: none is known. */
    uint64_t stamps[DATA_DIR_STAMPS_MAX]; /* Of the last ones, the newest first. */
    unsigned stamps_len;
    unsigned facts;
};

/* A node that was given up. */
struct data_dir_expelled {
    uint64_t node;
    uint64_t incarnation; /* 0: not known. */
};

struct data_dir {
    char *path;
    int fd;
    int lock_fd;
    char cluster[NAME_LEN_MAX + 1];
    uint64_t node;
    uint64_t incarnation;
    struct data_dir_starts starts;
    char shard_why
        [DATA_DIR_WHY_LEN_MAX];  /* Why the shard's directory is not to be relied on; "": nothing speaks against it. */
    bool log_is_tied;            /* last-start must be in the directory of the log. */
    bool log_alone_is_old;       /* Why is that of the log, and nothing speaks against the rest of the shard. */
    bool peers_there;            /* The file is. */
    struct data_dir_peer *peers; /* DATA_DIR_PEERS_MAX of them. */
    unsigned peers_len;
    struct data_dir_expelled *expelled; /* Likewise. */
    unsigned expelled_len;
    char *recoveries;                           /* The lines of that file; NULL: there was none, or it is damaged. */
    char recoveries_why[DATA_DIR_LINE_LEN_MAX]; /* What is wrong with it; "": nothing. */
};

/* Writes the line, and returns the error. */
int data_dir_explain(char *detail, size_t detail_len, int err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* data_dir_text.c: the text files. The first line is "holdfast-KIND VERSION", the last one a checksum.
 *
 * Reads and checks one; the caller frees, and finds it without the checksum. ERR_NOT_FOUND: there is none; ERR_CORRUPT,
 * ERR_VERSION, ERR_IO, ERR_NOMEM, with one line of detail. */
int data_dir_text_read(const struct data_dir *dir, const char *name, const char *kind, char **ret_text, char *detail,
                       size_t detail_len) NODISCARD;
/* Appends to `text`, of DATA_DIR_TEXT_LEN_MAX bytes, at *at. ERR_LIMIT: it would be full. */
int data_dir_text_add(char *text, size_t *at, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Adds the checksum, and replaces the file. */
int data_dir_text_write(const struct data_dir *dir, const char *name, char *text, size_t len, char *detail,
                        size_t detail_len) NODISCARD;
/* The rest of the line that begins with `key` (with the line's end before it), or NULL. */
const char *data_dir_text_value(const char *text, const char *key, char *out, size_t out_len);
/* Copies what people are to read, as one line. */
void data_dir_text_line(char *out, size_t out_len, const char *text);

/* data_dir_peers.c */
int data_dir_peers_read(struct data_dir *dir, char *detail, size_t detail_len) NODISCARD;

/* data_dir_slots.c: a file that counts starts. Reading: ERR_NOT_FOUND, ERR_IO; of a damaged one nothing is known (0). Writing:
 * ERR_NO_SPACE, ERR_IO; errno says more. */
int data_dir_slots_read(int dir_fd, const char *name, struct data_dir_starts *ret_starts) NODISCARD;
int data_dir_slots_write(int dir_fd, const char *name, const struct data_dir_starts *starts) NODISCARD;

/* data_dir_starts.c: reads what was counted; counts a start, durably; notes in the last one that a fact is so, or not any more. */
int data_dir_starts_read(struct data_dir *dir, char *detail, size_t detail_len) NODISCARD;
int data_dir_starts_count(struct data_dir *dir, struct clock *clock, char *detail, size_t detail_len) NODISCARD;
int data_dir_starts_fact(struct data_dir *dir, enum data_dir_fact fact, bool so, char *detail,
                         size_t detail_len) NODISCARD;

/* data_dir_shard.c: looks whether the directories of the shard and its log are those of the last start (ERR_IO: this process may not
 * look, or cannot now; what is missing or damaged is no error, but noted); notes in them a start that is about to be counted, which
 * becomes a fact of `next`. */
int data_dir_shard_check(struct data_dir *dir, char *detail, size_t detail_len) NODISCARD;
int data_dir_shard_note(struct data_dir *dir, struct data_dir_starts *next, char *detail, size_t detail_len) NODISCARD;

/* Whether the directory may be used: ERR_REFUSED, with why not. data_dir_marks.c: the node was removed. data_dir_recoveries.c: a
 * recovery is unfinished, or may be; the file is read before (damage is no error, but noted). */
int data_dir_removed_check(const struct data_dir *dir, char *detail, size_t detail_len) NODISCARD;
int data_dir_recoveries_read(struct data_dir *dir, char *detail, size_t detail_len) NODISCARD;
int data_dir_unfinished_check(const struct data_dir *dir, char *detail, size_t detail_len) NODISCARD;

#endif
