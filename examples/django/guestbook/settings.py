"""Settings of the guestbook, for a container behind a reverse proxy.

What differs from app to app comes from the environment. review-executor sets
REVIEW_HOST, REVIEW_URL, REVIEW_REF and REVIEW_SHA; without them the site works
on localhost.
"""

import os
from pathlib import Path

from django.core.management.utils import get_random_secret_key

BASE_DIR = Path(__file__).resolve().parent.parent


def text(name):
    """Return an environment variable as text that any page can show.

    Git allows any byte in a branch name. os.environ would turn those that are
    not UTF-8 into surrogates, which cannot be encoded again.
    """
    return os.environb.get(name.encode(), b"").decode("utf-8", "replace")


REVIEW_URL = text("REVIEW_URL").rstrip("/")
REVIEW_REF = text("REVIEW_REF")
REVIEW_SHA = text("REVIEW_SHA")

DEBUG = os.environ.get("DJANGO_DEBUG") == "1"

# A key made at start ends all sessions with the next start. Set one to keep them.
SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY") or get_random_secret_key()

# The proxy passes on the Host that the browser sent, and the health check sends
# the same. The local names are for running the site by hand.
ALLOWED_HOSTS = [host for host in (text("REVIEW_HOST"), "localhost", "127.0.0.1") if host]

# The proxy may speak TLS to the browser, and always plain HTTP to us. It
# overwrites this header, so that no visitor can set it.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
CSRF_TRUSTED_ORIGINS = [REVIEW_URL] if REVIEW_URL else []
CSRF_COOKIE_SECURE = SESSION_COOKIE_SECURE = REVIEW_URL.startswith("https://")

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "guestbook",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    # Serves the static files: behind a proxy that knows nothing of the image,
    # the app has to do it.
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "guestbook.urls"
WSGI_APPLICATION = "guestbook.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "guestbook.views.version",
            ],
        },
    },
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("DATABASE", BASE_DIR / "guestbook.sqlite3"),
        # The worker writes too and, during a deployment, so does the version before.
        "OPTIONS": {"timeout": 20},
    },
}

# The host name is the alias under "services:" in .gitlab-ci.yml.
REDIS_URL = os.environ.get("REDIS_URL", "redis://redis:6379/0")
# What the payment provider signs its webhooks with. Without it, none is accepted.
PAYMENT_SECRET = os.environb.get(b"PAYMENT_SECRET", b"")

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "entries"
LOGOUT_REDIRECT_URL = "entries"

# Names with a hash of the content: the next version of the branch never shows
# with this one's style sheet.
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
