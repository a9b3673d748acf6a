/* Whether a key fits a pattern, as simply as it can be said. */

#ifndef HOLDFAST_STATEMACHINE_TEST_SIMPLE_TOPIC_H
#define HOLDFAST_STATEMACHINE_TEST_SIMPLE_TOPIC_H

#include <stdbool.h>

/* Takes long for many wildcards. */
bool simple_topic(const char *pattern, const char *key);

#endif
