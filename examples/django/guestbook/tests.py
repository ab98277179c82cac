from django.test import Client, TestCase, override_settings

from .models import Entry


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
