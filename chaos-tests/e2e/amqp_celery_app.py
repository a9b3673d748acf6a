"""The Celery application of test_amqp_celery.py. What its tasks have done is in a file, a line each: results need no backend then."""

import os
import time

import celery

app = celery.Celery("e2e", broker=os.environ["CELERY_BROKER"])
PREFIX = os.environ["CELERY_PREFIX"]
app.conf.update(task_default_queue=f"{PREFIX}-tasks", task_default_exchange=f"{PREFIX}-tasks", worker_prefetch_multiplier=1,
                control_exchange=f"{PREFIX}-control", event_exchange=f"{PREFIX}-events", broker_connection_timeout=3,
                broker_transport_options={"confirm_publish": True}, task_publish_retry=True, broker_connection_max_retries=None,
                broker_heartbeat=4, worker_hijack_root_logger=False, broker_connection_retry_on_startup=True)


def note(*words):
    line = " ".join(str(word) for word in (f"{time.time():.3f}", *words)) + "\n"
    with open(os.environ["CELERY_NOTES"], "a", encoding="utf-8") as f:
        f.write(line)


@app.task
def add(name, x, y):
    note(name, "done", x + y)


@app.task(acks_late=True, reject_on_worker_lost=True)
def slow(name, seconds):
    note(name, "begun", os.getpid())
    time.sleep(seconds)
    note(name, "done")


@app.task(bind=True, max_retries=3, default_retry_delay=0.3)
def stubborn(self, name, fails):
    note(name, "tried", self.request.retries)
    if self.request.retries < fails:
        raise self.retry()
    note(name, "done")
