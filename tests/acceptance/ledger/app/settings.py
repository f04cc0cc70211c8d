"""The bookkeeping system's project: what its installation guide asks for, without any network.

Read from the environment: APPLICATION_DATABASE (SQLAlchemy's spelling).
"""

import os
from urllib.parse import unquote, urlsplit

_address = urlsplit(os.environ["APPLICATION_DATABASE"])

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(_address.path[1:]),
        "USER": unquote(_address.username or ""),
        "PASSWORD": unquote(_address.password or ""),
        "HOST": _address.hostname or "",
        "PORT": _address.port or "",
    }
}
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.admin",
    "django_ledger",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
# Signs nothing that leaves a test.
SECRET_KEY = "acceptance-test-only"
USE_TZ = True
TIME_ZONE = "UTC"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LOGGING = {"version": 1, "disable_existing_loggers": True}
