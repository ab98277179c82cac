import json

from django.conf import settings
from django.test import Client, TestCase, override_settings

from . import payments
from .models import Entry, Payment


@override_settings(ALLOWED_HOSTS=["login-form.review.example.org"])
class BehindProxy(TestCase):
    """The site as the proxy shows it: another Host, and TLS that ended before us."""

    def setUp(self):
        self.client = Client(
            enforce_csrf_checks=True,
            HTTP_HOST="login-form.review.example.org",
            HTTP_X_FORWARDED_PROTO="https",
            HTTP_ORIGIN="https://login-form.review.example.org",
        )

    def post(self, path, **data):
        self.client.get("/login/")  # sets the CSRF cookie
        data["csrfmiddlewaretoken"] = self.client.cookies["csrftoken"].value
        return self.client.post(path, data)

    def test_demo_user_logs_in_and_signs(self):
        self.assertRedirects(self.post("/login/", username="demo", password="demo"), "/")
        self.assertRedirects(self.post("/", message="Hello <b>there</b>"), "/")
        self.assertContains(self.client.get("/"), "Hello &lt;b&gt;there&lt;/b&gt;")

    def test_visitor_is_sent_to_the_login(self):
        self.assertRedirects(self.post("/", message="Hello"), "/login/?next=/")
        self.assertFalse(Entry.objects.exists())

    def test_form_of_another_site_is_refused(self):
        self.client.defaults["HTTP_ORIGIN"] = "https://other.review.example.org"
        self.assertEqual(self.post("/login/", username="demo", password="demo").status_code, 403)

    def test_other_host_is_refused(self):
        self.assertEqual(self.client.get("/healthz", HTTP_HOST="evil.example.org").status_code, 400)

    @override_settings(REVIEW_SHA="3f2c1a9", REVIEW_REF="<script>")
    def test_page_names_its_version(self):
        page = self.client.get("/")
        self.assertContains(page, "3f2c1a9")
        self.assertContains(page, "&lt;script&gt;")


# Another of Redis' databases than the site's.
@override_settings(PAYMENT_SECRET=b"secret", REDIS_URL=settings.REDIS_URL.rpartition("/")[0] + "/9")
class Payments(TestCase):
    """The webhook, the queue in a real Redis, and the worker."""

    def setUp(self):
        self.client = Client(enforce_csrf_checks=True)
        with payments.queue() as q:
            q.delete(payments.WAITING, payments.IN_WORK)

    def send(self, body, signature=None):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        signature = payments.signature(body) if signature is None else signature
        return self.client.post("/webhooks/payment", body, "application/json", HTTP_X_SIGNATURE=signature).status_code

    def lengths(self):
        with payments.queue() as q:
            return q.llen(payments.WAITING), q.llen(payments.IN_WORK)

    def test_signed_payment_is_written_by_the_worker(self):
        self.assertEqual(self.send({"reference": "pay-1", "cents": 1205}), 202)
        self.assertContains(self.client.get("/payments/"), "No payment")
        payments.work(timeout=1)
        self.assertContains(self.client.get("/payments/"), "pay-1: 12.05")
        self.assertEqual(self.lengths(), (0, 0))

    def test_payment_that_is_sent_twice_is_written_once(self):
        for _ in range(2):
            self.assertEqual(self.send({"reference": "pay-1", "cents": 1205}), 202)
            payments.work(timeout=1)
        self.assertEqual(Payment.objects.count(), 1)

    def test_wrong_signature_is_refused(self):
        for signature in ("", "00", "ünï", payments.signature(b"another body")):
            self.assertEqual(self.send({"reference": "pay-1", "cents": 1}, signature), 403)
        self.assertEqual(self.lengths(), (0, 0))

    @override_settings(PAYMENT_SECRET=b"")
    def test_without_a_secret_everything_is_refused(self):
        self.assertEqual(self.send({"reference": "pay-1", "cents": 1}), 403)

    def test_what_is_no_payment_is_refused(self):
        for body in (b"", b"\xff", [], {}, {"reference": "pay-1"}, {"reference": "pay-1", "cents": -1}, {"reference": "x" * 65, "cents": 1}):
            self.assertEqual(self.send(body), 400, body)
        self.assertEqual(self.lengths(), (0, 0))

    @override_settings(REDIS_URL="redis://127.0.0.1:1")
    def test_without_a_queue_the_provider_is_asked_to_come_again(self):
        self.assertEqual(self.send({"reference": "pay-1", "cents": 1}), 503)

    def test_what_a_killed_worker_had_in_work_is_done_by_the_next(self):
        self.send({"reference": "pay-1", "cents": 1})
        with payments.queue() as q:
            q.lmove(payments.WAITING, payments.IN_WORK)
        payments.recover()
        payments.work(timeout=1)
        self.assertTrue(Payment.objects.filter(reference="pay-1").exists())
        self.assertEqual(self.lengths(), (0, 0))
