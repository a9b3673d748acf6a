/* Who was a member, and where, when that was last heard of. A line for each: "member ID voter|learner ADDRESS". */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/data_dir_private.h"

static bool address_ok(const char *address)
{
    size_t len = strnlen(address, ADDRESS_LEN_MAX + 1);
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)address[i] <= 0x20 || (unsigned char)address[i] == 0x7f) {
            return false;
        }
    }
    return len > 0 && len <= ADDRESS_LEN_MAX;
}

int data_dir_members_write(const struct data_dir *dir, const struct data_dir_member *members, unsigned members_len,
                           char *detail, size_t detail_len)
{
    bool good = members_len <= MEMBERS_MAX;
    for (unsigned i = 0; good && i < members_len; i++) {
        good = members[i].id != 0 && address_ok(members[i].address);
    }
    if (!good) {
        return data_dir_explain(detail, detail_len, ERR_INVALID, "%s/members: a member cannot be written down",
                                dir->path);
    }
    char *text = malloc(DATA_DIR_TEXT_LEN_MAX);
    if (text == NULL) {
        return data_dir_explain(detail, detail_len, ERR_NOMEM, "out of memory");
    }
    size_t at = 0;
    int err = data_dir_text_add(text, &at, "holdfast-members %u\n", DATA_DIR_VERSION);
    for (unsigned i = 0; i < members_len && err == 0; i++) {
        err = data_dir_text_add(text, &at, "member %" PRIu64 " %s %s\n", members[i].id,
                                members[i].voter ? "voter" : "learner", members[i].address);
    }
    if (err == 0) {
        err = data_dir_text_write(dir, "members", text, at, detail, detail_len);
    }
    free(text);
    return err;
}

static bool member_parse(const char *line, struct data_dir_member *ret_member)
{
    struct data_dir_member member = {0};
    char *end;
    if (strncmp(line, "\nmember ", 8) != 0) {
        return false;
    }
    member.id = strtoull(line + 8, &end, 10);
    member.voter = strncmp(end, " voter ", 7) == 0;
    if (member.id == 0 || (!member.voter && strncmp(end, " learner ", 9) != 0)) {
        return false;
    }
    const char *address = end + (member.voter ? 7 : 9);
    size_t len = strcspn(address, "\n");
    if (len > ADDRESS_LEN_MAX) {
        return false;
    }
    memcpy(member.address, address, len);
    *ret_member = member;
    return address_ok(member.address);
}

int data_dir_members_read(const struct data_dir *dir, struct data_dir_member ret_members[MEMBERS_MAX],
                          unsigned *ret_members_len, char *detail, size_t detail_len)
{
    struct data_dir_member members[MEMBERS_MAX];
    unsigned members_len = 0;
    char *text;
    int err = data_dir_text_read(dir, "members", "members", &text, detail, detail_len);
    if (err != 0) {
        return err;
    }
    bool good = true;
    for (const char *line = strchr(text, '\n'); good && line != NULL && line[1] != '\0';
         line = strchr(line + 1, '\n')) {
        good = members_len < MEMBERS_MAX && member_parse(line, &members[members_len]);
        members_len += good;
    }
    free(text);
    if (!good) {
        return data_dir_explain(detail, detail_len, ERR_CORRUPT, "%s/members: a line makes no sense", dir->path);
    }
    memcpy(ret_members, members, members_len * sizeof members[0]);
    *ret_members_len = members_len;
    return 0;
}
