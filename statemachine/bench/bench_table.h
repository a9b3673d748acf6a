/* What rows of the table cost. */

#ifndef HOLDFAST_STATEMACHINE_BENCH_TABLE_H
#define HOLDFAST_STATEMACHINE_BENCH_TABLE_H

/* Prints a line for a store in memory, and one for RocksDB. */
void bench_table(void);

#endif
