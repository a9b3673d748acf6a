/* What a forced recovery tells people: before it is confirmed, and for good in the line that is kept of it. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "node/recover_private.h"

bool recover_is_marked(const struct recovery *recovery)
{
    return recovery->mark.state == REPAIR_NEEDED && !recovery->mark.ordered && recovery->mark.reason[0] != '\0';
}

static void print_at_risk(const struct driver_recover_report *report)
{
    if (report->log_last > report->known) {
        (void)printf("  kept       entries %" PRIu64 " to %" PRIu64
                     ": nobody can tell any more whether a majority had them; "
                     "they count from now on\n",
                     report->known + 1, report->log_last);
    } else {
        (void)printf("  kept       all entries here are known to have been committed\n");
    }
    (void)printf("  lost       whatever the other nodes had confirmed after entry %" PRIu64 ", if anything\n",
                 report->log_last);
}

static void print_damage(const struct recover_damage *damage)
{
    for (uint64_t i = 0; i < damage->found && i < RECOVER_DAMAGES_MAX; i++) {
        (void)printf("  damaged    %s\n", damage->lines[i]);
    }
    if (damage->found > RECOVER_DAMAGES_MAX) {
        (void)printf("  damaged    %" PRIu64 " more places\n", damage->found - RECOVER_DAMAGES_MAX);
    }
}

void recover_report_print(const struct recovery *recovery)
{
    const struct driver_recover_report *report = &recovery->report;
    uint64_t own = data_dir_node(recovery->dir);
    char old[DATA_DIR_LINE_LEN_MAX];
    (void)printf("cluster %s, node %" PRIu64 ", %s\n", data_dir_cluster(recovery->dir), own, recovery->options->data);
    (void)printf("  term       %" PRIu64 "\n", report->term);
    (void)printf("  state      as of entry %" PRIu64 " (the last checkpoint)\n", report->checkpoint_index);
    (void)printf("  log        entries %" PRIu64 " to %" PRIu64 "\n", report->log_first, report->log_last);
    (void)printf("  committed  up to entry %" PRIu64 " for certain\n", report->known);
    print_at_risk(report);
    for (unsigned i = 0; i < report->members_len; i++) {
        const struct driver_recover_member *member = &report->members[i];
        (void)printf("  %s node %" PRIu64 " at %s%s\n", member->id == own ? "goes on   " : "given up  ", member->id,
                     member->address, member->voter ? "" : " (did not vote)");
    }
    if (data_dir_shard_is_old(recovery->dir, old, sizeof old)) {
        (void)printf("  warning    %s\n", old);
    }
    if (data_dir_recoveries_damaged(recovery->dir, old, sizeof old)) {
        (void)printf("  warning    %s\n", old);
    }
    if (recovery->mark.state == REPAIR_NEEDED) {
        (void)printf("  %s this node's data was about to be replaced by a copy of another's: %s\n",
                     recover_is_marked(recovery) ? "damaged   " : "warning   ",
                     recovery->mark.reason[0] != '\0' ? recovery->mark.reason : "it is new");
    }
    print_damage(&recovery->damage);
}

/* What was accepted, or nothing. */
static void describe_damage(const struct recovery *recovery, char *out, size_t out_len)
{
    const struct recover_damage *damage = &recovery->damage;
    out[0] = '\0';
    if (damage->found > 0) {
        (void)snprintf(out, out_len, "; accepted: damage at %" PRIu64 " places, the first: %.200s", damage->found,
                       damage->lines[0]);
    } else if (recover_is_marked(recovery)) {
        (void)snprintf(out, out_len, "; accepted: damage that was noted: %.200s", recovery->mark.reason);
    }
}

void recover_report_line(const struct recovery *recovery, char *out, size_t out_len)
{
    const struct driver_recover_report *report = &recovery->report;
    char host[256] = "?";
    char given_up[MEMBERS_MAX * 24] = "";
    char damage[300];
    char date[32] = "?";
    time_t now = (time_t)(recovery->clock.base.wall_ms((struct clock *)&recovery->clock.base) / 1000);
    struct tm utc;
    if (gmtime_r(&now, &utc) != NULL) {
        (void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &utc);
    }
    (void)gethostname(host, sizeof host - 1);
    for (unsigned i = 0; i < report->members_len; i++) {
        size_t len = strlen(given_up);
        if (report->members[i].id != data_dir_node(recovery->dir)) {
            (void)snprintf(given_up + len, sizeof given_up - len, " %" PRIu64, report->members[i].id);
        }
    }
    describe_damage(recovery, damage, sizeof damage);
    (void)snprintf(out, out_len,
                   "forced recovery of node %" PRIu64
                   " at %s on %s by user %ld: it is the only voter from entry %" PRIu64 " on; entries up to %" PRIu64
                   " were committed, those up to %" PRIu64 " are kept; given up: nodes%s%s",
                   data_dir_node(recovery->dir), date, host, (long)getuid(), report->log_last + 1, report->known,
                   report->log_last, given_up, damage);
}
