/* Forced recovery: one survivor goes on alone, as a cluster of itself, when the majority is gone for good.
 *
 * This breaks what Raft promises, and nothing else can: what the others had made sure of and this node does not have is lost, and
 * what it has counts from now on, also what never had a majority. It is for an operator who has been told so, on a node that is
 * stopped. That the others never return, under their names, is the caller's part. */

#ifndef HOLDFAST_CONSENSUS_DRIVER_RECOVER_H
#define HOLDFAST_CONSENSUS_DRIVER_RECOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/driver.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"

/* By how much the term rises: above all terms that the others can have been in, so that of two entries of one term and index
 * there is never one of either side. */
#define DRIVER_RECOVER_TERMS 1000u

/* What is written into the log beside the new membership. */
#define DRIVER_RECOVER_TEXT_LEN_MAX 1024u

struct driver_recover_report {
    uint64_t term;
    uint64_t checkpoint_index; /* 0: there is none. */
    uint64_t log_first;        /* The entries that are there; last = first - 1: none. */
    uint64_t log_last;
    uint64_t torn_bytes; /* Of a write that was never acknowledged; it is cut. */
    /* Up to here entries are known to have been committed; from there to the last one they may have been. */
    uint64_t known;
    struct driver_recover_member {
        uint64_t id;
        char address[ADDRESS_LEN_MAX + 1];
        bool voter;
    } members[MEMBERS_MAX]; /* By the newest membership in the log, committed or not. */
    unsigned members_len;
    uint64_t members_index;
    bool alone; /* The node is the only voter: there is nothing to recover. */
};

/* Reads what there is, and changes nothing. `options` are those of driver_open(); used are id, disk, dir, applied_index and
 * checkpoint. `detail` gets one line on error.
 * ERR_NOT_FOUND: there is no log. ERR_CORRUPT: log, term or checkpoint are damaged or do not fit each other: this node cannot be
 * the one that goes on. ERR_FOREIGN: the node is in no membership that it knows of. ERR_VERSION, ERR_IO, ERR_NOMEM. */
int driver_recover_look(const struct driver_options *options, struct driver_recover_report *ret_report, char *detail,
                        size_t detail_len) NODISCARD;

/* Makes the node the only voter: the term rises, and behind the last entry comes a CHANGE in that term, with `text` behind the
 * membership (cut to DRIVER_RECOVER_TEXT_LEN_MAX). The node then elects itself when it is opened, and commits all it has.
 * Durable when it returns 0. After an error or a crash it is to be done again, before the node is started; when it is done
 * already nothing is changed. *ret_index is where the CHANGE is.
 * Errors as above; ERR_NO_SPACE: there must be room for a segment of the log. */
int driver_recover(const struct driver_options *options, const char *text, uint64_t *ret_index, char *detail,
                   size_t detail_len) NODISCARD;

/* The text of such a CHANGE, by the payload of the entry: its length, and where it begins in there (no zero byte follows). 0: it
 * is a change like any other, or no CHANGE at all. */
size_t driver_recover_text(const uint8_t *payload, size_t len, const char **ret_text);

#endif
