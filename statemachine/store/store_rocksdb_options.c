/* How the store sets up RocksDB: what is not its default, and why. */

#include "statemachine/store/store_rocksdb_options.h"

#include "proto/base/limits.h"

/* Larger than the batches of checkpoints, so that the flush that follows one finds it in one piece; a larger batch is
 * still one memtable. */
#define WRITE_BUFFER_LEN (256 * MIB)
#define BLOOM_BITS 10.0
#define BACKGROUND_JOBS 2
#define OPEN_FILES_MAX 256
#define FORMAT_VERSION 5
#define CHECKSUM_XXH3 4
/* Nothing may flush at closing. A manifest is some kilobytes; what RocksDB allocates ahead is missing elsewhere when the
 * disk is nearly full. */
#define OPTIONS_TEXT "avoid_flush_during_shutdown=true;allow_fallocate=false;manifest_preallocation_size=65536"
/* RocksDB's own log for people stays empty, by a level above all that it has: on a full disk the second line after one
 * that could not be written is an assertion that fails and ends the process (7.8, as Debian builds it). */
#define LOG_FILES_KEPT 2
#define INFO_LOG_NOTHING 6

/* Longer values lie in files of their own (blobs), and compactions, which come with every few checkpoints, move their
 * keys only. What has been deleted of them goes when a compaction meets the older half of these files, and sooner
 * when half of a file is garbage: with RocksDB's own numbers (a quarter, never) a queue that is filled and emptied again
 * and again took twice the space of what it held at most. */
#define BLOB_LEN_MIN 512u
#define BLOB_AGE_CUTOFF 0.5
#define BLOB_GARBAGE_MAX 0.5
#define COMPACTION_READ_LEN (2 * MIB)

/* Twice RocksDB's own: a backlog that grows costs a tenth less processor time, one that comes and goes takes a fifth more space. */
#define FLUSHES_PER_COMPACTION 8

static void set_table(rocksdb_options_t *options, rocksdb_cache_t *cache)
{
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_format_version(table, FORMAT_VERSION);
    rocksdb_block_based_options_set_checksum(table, CHECKSUM_XXH3);
    rocksdb_block_based_options_set_block_cache(table, cache);
    rocksdb_block_based_options_set_filter_policy(table, rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS));
    rocksdb_options_set_block_based_table_factory(options, table);
    rocksdb_block_based_options_destroy(table);
}

static void set_blobs(rocksdb_options_t *options)
{
    rocksdb_options_set_enable_blob_files(options, 1);
    rocksdb_options_set_min_blob_size(options, BLOB_LEN_MIN);
    rocksdb_options_set_enable_blob_gc(options, 1);
    rocksdb_options_set_blob_gc_age_cutoff(options, BLOB_AGE_CUTOFF);
    rocksdb_options_set_blob_gc_force_threshold(options, BLOB_GARBAGE_MAX);
    rocksdb_options_set_blob_compaction_readahead_size(options, COMPACTION_READ_LEN);
}

/* Checkpoints and compactions do not push out of the system's cache what is read, nor make the log's syncs wait for their
 * pages: with 1 KiB messages that stay, half as many again can be published. Reading is left to the cache, and to the
 * system's reading ahead, since messages are mostly read in the order in which they lie. */
static void set_files(rocksdb_options_t *options, bool direct)
{
    rocksdb_options_set_use_direct_io_for_flush_and_compaction(options, direct);
    rocksdb_options_compaction_readahead_size(options, COMPACTION_READ_LEN);
    rocksdb_options_set_advise_random_on_open(options, 0);
    rocksdb_options_set_max_open_files(options, OPEN_FILES_MAX);
    rocksdb_options_set_is_fd_close_on_exec(options, 1);
    rocksdb_options_set_keep_log_file_num(options, LOG_FILES_KEPT);
    rocksdb_options_set_info_log_level(options, INFO_LOG_NOTHING);
    rocksdb_options_set_stats_dump_period_sec(options, 0);
}

int store_rocksdb_options_make(bool direct, rocksdb_cache_t *cache, rocksdb_options_t **ret_options, char **ret_error)
{
    rocksdb_options_t *base = rocksdb_options_create();
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_get_options_from_string(base, OPTIONS_TEXT, options, ret_error);
    rocksdb_options_destroy(base);
    *ret_options = options;
    if (*ret_error != NULL) {
        return ERR_INVALID;
    }
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_set_paranoid_checks(options, 1);
    rocksdb_options_set_write_buffer_size(options, WRITE_BUFFER_LEN);
    rocksdb_options_set_max_write_buffer_number(options, 4);
    rocksdb_options_set_max_background_jobs(options, BACKGROUND_JOBS);
    rocksdb_options_set_compression(options, rocksdb_no_compression);
    rocksdb_options_set_level0_file_num_compaction_trigger(options, FLUSHES_PER_COMPACTION);
    set_files(options, direct);
    set_blobs(options);
    set_table(options, cache);
    return 0;
}
