import signal
import threading

import redis
from django.core.management.base import BaseCommand

from guestbook import payments


class Command(BaseCommand):
    help = "Writes payments from the queue to the database, until SIGTERM. What is in work is finished."

    def handle(self, **options):
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        recovered = False
        while not stop.is_set():
            try:
                if not recovered:
                    payments.recover()
                    recovered = True
                payments.work(timeout=1)
            except (redis.ConnectionError, redis.TimeoutError) as e:  # it may be about to come back
                self.stderr.write(f"Redis: {e}")
                stop.wait(1)
