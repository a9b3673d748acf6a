"""Publishers and consumers that run on threads of their own, and what they have seen."""

import threading
import time

from client import NO_SPACE, Client


class Load(threading.Thread):
    """Runs turn() with an attached client until it is finished; what goes wrong there, finish() raises."""

    def __init__(self, addresses, **options):
        super().__init__(daemon=True)
        self.client = Client(addresses, **options)
        self.stopping, self.error, self.times = threading.Event(), None, []

    def run(self):
        try:
            with self.client.attach():
                self.begin()
                while not self.stopping.is_set():
                    self.turn()
                self.end()
        except Exception as e:  # pylint: disable=broad-except; raised by finish()
            self.error = e

    def begin(self):
        pass

    def turn(self):
        raise NotImplementedError

    def end(self):
        pass

    def check(self):
        if self.error is not None:
            raise self.error

    def finish(self, seconds=60.0):
        self.stopping.set()
        self.join(seconds)
        if self.is_alive():
            raise AssertionError(f"{type(self).__name__} has not ended within {seconds} s: {self.client.events[-3:]}")
        self.check()
        return self

    def gap(self, since=0.0):
        """The longest time between two of its successes, in seconds, of those that ended after `since`."""
        return max((b - a for a, b in zip(self.times, self.times[1:]) if b >= since), default=float("inf"))


class Publisher(Load):
    """Publishes the numbers from `first` on, each in a message, with a window; `confirmed` are those that were answered."""

    def __init__(self, addresses, queue, first=0, window=32, producer=b"", **options):
        super().__init__(addresses, **options)
        self.queue, self.next, self.window, self.producer = queue, first, window, producer
        self.first, self.sent, self.confirmed, self.refused, self.errors = first, {}, set(), 0, []

    def turn(self):
        while len(self.client.unanswered) < self.window and self.client.connection is not None:
            sequence = self.next - self.first + 1 if self.producer else 0
            self.sent[self.client.publish_id(self.queue, self.next, self.producer, sequence)] = self.next
            self.next += 1
        self.client.step()
        self.collect()

    def end(self):
        self.client.wait(lambda: not self.client.unanswered, "replies to everything")
        self.collect()

    def collect(self):
        for number, (error, detail, *_) in list(self.client.replies.items()):
            del self.client.replies[number]
            value = self.sent.pop(number)
            if error == 0:
                self.confirmed.add(value)
                self.times.append(time.monotonic())
            elif error == NO_SPACE:
                self.refused += 1
            else:
                self.errors.append((value, error, detail))


class Consumer(Load):
    """Takes and settles; `taken` are the numbers in the messages, in the order in which they came."""

    def __init__(self, addresses, queue, credit=100, **options):
        super().__init__(addresses, **options)
        self.queue, self.credit, self.taken, self.redelivered, self.errors = queue, credit, [], 0, []

    def begin(self):
        error = self.client.call(self.client.subscribe(self.queue, credit=self.credit))
        if error != 0:
            raise AssertionError(f"subscribe: error {error}")

    def turn(self):
        self.client.step()
        waiting, self.client.deliveries = self.client.deliveries, []
        for delivery in waiting:
            self.taken.append(delivery.id())
            self.redelivered += 1 if delivery.count else 0
            self.times.append(time.monotonic())
            self.client.settle(delivery)
        for number, (error, detail, _, stale) in list(self.client.replies.items()):
            del self.client.replies[number]
            if error or stale:
                self.errors.append((number, error, detail, stale))

    def end(self):
        self.client.wait(lambda: not self.client.unanswered, "replies to everything")
