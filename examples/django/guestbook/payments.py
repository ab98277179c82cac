"""Payments on their way from the provider's webhook to the database.

The webhook puts each into a Redis list and answers at once; the worker takes
them from there. What is in work is in a second list, so that a worker that is
killed loses nothing. A payment that is written twice is written once.
"""

import hashlib
import hmac
import json

import redis
from django import forms
from django.conf import settings

from .models import Payment

WAITING = "payments:waiting"
IN_WORK = "payments:in-work"


class WebhookForm(forms.Form):
    reference = forms.CharField(max_length=64)
    cents = forms.IntegerField(min_value=1, max_value=2**31 - 1)


def queue():
    return redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=2, socket_timeout=5)


def signature(body):
    """Return what the provider sends as X-Signature: who knows the secret sent this body."""
    return hmac.new(settings.PAYMENT_SECRET, body, hashlib.sha256).hexdigest()


def is_signed(body, signed):
    return bool(settings.PAYMENT_SECRET) and hmac.compare_digest(signature(body).encode(), signed.encode())


def parse(body):
    """Return the payment in a webhook's body, or raise ValueError."""
    event = json.loads(body)
    form = WebhookForm(event if isinstance(event, dict) else {})
    if not form.is_valid():
        raise ValueError(form.errors.as_json())
    return form.cleaned_data


def enqueue(payment):
    with queue() as q:
        q.lpush(WAITING, json.dumps(payment))


def recover():
    """Put back what a killed worker had in work. Another one's is harmless."""
    with queue() as q:
        while q.lmove(IN_WORK, WAITING, "RIGHT", "RIGHT"):
            pass


def work(timeout):
    """Write the next payment to the database; wait for one for up to timeout seconds."""
    with queue() as q:
        task = q.blmove(WAITING, IN_WORK, timeout, "RIGHT", "LEFT")
        if task is None:
            return
        payment = json.loads(task)
        Payment.objects.get_or_create(reference=payment["reference"], defaults={"cents": payment["cents"]})
        q.lrem(IN_WORK, 1, task)
