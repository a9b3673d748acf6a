/* Query results about the cluster, as its node sees it. */

#include "proto/base/check.h"
#include "rpc/native/native_result_private.h"

/* Its number in QueryResult. */
#define CLUSTER_FIELD 6u

int native_result_cluster(const struct gateway_status *status, struct collector *collector)
{
    CHECK(status->members_len <= ARRAY_LEN(status->members));
    Holdfast__MemberInfo members[ARRAY_LEN(status->members)];
    Holdfast__MemberInfo *pointers[ARRAY_LEN(status->members)];
    for (unsigned i = 0; i < status->members_len; i++) {
        members[i] = (Holdfast__MemberInfo)HOLDFAST__MEMBER_INFO__INIT;
        members[i].id = status->members[i].id;
        members[i].peer_address = result_text(status->members[i].peer_address);
        members[i].client_address = result_text(status->members[i].client_address);
        members[i].role = result_text(status->members[i].role);
        members[i].connected = status->members[i].connected;
        members[i].match_index = status->members[i].match_index;
        members[i].detail = result_text(status->members[i].detail);
        members[i].voter = status->members[i].voter;
        members[i].zone = result_text(status->members[i].zone);
        members[i].preferred = status->members[i].preferred;
        pointers[i] = &members[i];
    }
    Holdfast__ClusterInfo info = HOLDFAST__CLUSTER_INFO__INIT;
    info.cluster = result_text(status->cluster);
    info.node = status->node;
    info.leader = status->leader;
    info.term = status->term;
    info.commit_index = status->commit_index;
    info.applied_index = status->applied_index;
    info.log_first = status->log_first;
    info.log_last = status->log_last;
    info.checkpoint_index = status->checkpoint_index;
    info.log_time_ms = status->log_time_ms;
    info.machine_version = status->machine_version;
    info.version = result_text(status->version);
    info.entries_replayed = status->entries_replayed;
    info.refusing = result_text(status->refusing);
    info.sessions = status->sessions;
    info.members = pointers;
    info.n_members = status->members_len;
    char *alarms[GATEWAY_ALARMS_MAX];
    CHECK(status->alarms_len <= GATEWAY_ALARMS_MAX);
    for (unsigned i = 0; i < status->alarms_len; i++) {
        alarms[i] = result_text(status->alarms[i]);
    }
    info.alarms = alarms;
    info.n_alarms = status->alarms_len;
    return native_frame_append(&collector->header, CLUSTER_FIELD, &info.base);
}
