"""The ticket system's project: what its installation guide asks for, without any network.

Read from the environment: HELPDESK_DATABASE_URL (SQLAlchemy's spelling), HELPDESK_MEDIA.
"""

import os
from urllib.parse import unquote, urlsplit

ENGINES = {"postgresql": "postgresql", "sqlite": "sqlite3", "mysql": "mysql", "mariadb": "mysql"}

_address = urlsplit(os.environ["HELPDESK_DATABASE_URL"])
_engine = ENGINES[_address.scheme.partition("+")[0]]

if _engine == "mysql":
    # Written in Python alone, under the name of the driver that the framework asks for.
    import pymysql

    pymysql.install_as_MySQLdb()

DATABASES = {
    "default": {
        "ENGINE": f"django.db.backends.{_engine}",
        # A file's path keeps its leading stroke, a database on a server has none.
        "NAME": unquote(_address.path[1:]),
        "USER": unquote(_address.username or ""),
        "PASSWORD": unquote(_address.password or ""),
        "HOST": _address.hostname or "",
        "PORT": _address.port or "",
        "CONN_MAX_AGE": None,
    }
}
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.sites",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.admin",
    "django.contrib.humanize",
    "rest_framework",
    "helpdesk",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.debug",
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ROOT_URLCONF = "urls"
# Signs nothing but the cookies of a test server on loopback.
SECRET_KEY = "acceptance-test-only"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
SITE_ID = 1
USE_TZ = True
TIME_ZONE = "Europe/Berlin"
LANGUAGE_CODE = "en"
STATIC_URL = "/static/"
MEDIA_URL = "/media/"
MEDIA_ROOT = os.environ["HELPDESK_MEDIA"]
LOGIN_URL = "/helpdesk/login/"
LOGIN_REDIRECT_URL = "/helpdesk/tickets/"
DEFAULT_FROM_EMAIL = "desk@example.com"
EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
# Sixty accounts sign in hundreds of times: the strength of a password is not what is tested.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LOGGING = {"version": 1, "disable_existing_loggers": True}

# A customer is a queue; staff see the queues that they were given, nothing else.
HELPDESK_ENABLE_PER_QUEUE_STAFF_PERMISSION = True
# Teams are an optional package of their own.
HELPDESK_TEAMS_MODE_ENABLED = False
HELPDESK_KB_ENABLED = True
