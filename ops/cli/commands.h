/* The commands of the command line: each takes its own arguments (argv[0] is its name) and returns the exit code. */

#ifndef HOLDFAST_OPS_CLI_COMMANDS_H
#define HOLDFAST_OPS_CLI_COMMANDS_H

struct cli;

int cmd_queue(struct cli *cli, int argc, char **argv);
int cmd_queue_show(struct cli *cli, int argc, char **argv);
/* declare and change. */
int cmd_queue_declare(struct cli *cli, int argc, char **argv);
int cmd_exchange(struct cli *cli, int argc, char **argv);
/* bind and unbind. */
int cmd_bind(struct cli *cli, int argc, char **argv);
int cmd_bindings(struct cli *cli, int argc, char **argv);
/* redrive and replay. */
int cmd_move(struct cli *cli, int argc, char **argv);
int cmd_message(struct cli *cli, int argc, char **argv);
int cmd_work(struct cli *cli, int argc, char **argv);
int cmd_consumers(struct cli *cli, int argc, char **argv);
int cmd_producer(struct cli *cli, int argc, char **argv);
int cmd_prepared(struct cli *cli, int argc, char **argv);
int cmd_transact(struct cli *cli, int argc, char **argv);
int cmd_vhost(struct cli *cli, int argc, char **argv);
int cmd_limits(struct cli *cli, int argc, char **argv);
int cmd_publish(struct cli *cli, int argc, char **argv);
int cmd_consume(struct cli *cli, int argc, char **argv);
int cmd_settle(struct cli *cli, int argc, char **argv);
int cmd_browse(struct cli *cli, int argc, char **argv);
int cmd_cluster(struct cli *cli, int argc, char **argv);
int cmd_cluster_status(const struct cli *cli);
int cmd_cluster_transfer(struct cli *cli, int argc, char **argv);
/* add, promote, demote, remove, repair. */
int cmd_cluster_member(struct cli *cli, int argc, char **argv);
int cmd_cluster_replace(struct cli *cli, int argc, char **argv);
/* For a stopped node; needs no cluster. */
int cmd_cluster_recover(struct cli *cli, int argc, char **argv);
int cmd_bench(struct cli *cli, int argc, char **argv);
int cmd_version(struct cli *cli, int argc, char **argv);
/* Reads a stopped node's log; needs no cluster. */
int cmd_log(int argc, char **argv);

#endif
