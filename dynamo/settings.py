"""Settings: embedded by default; environment variables switch to services. README.md lists the variables."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from . import environment

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = environment.data_directory("DYNAMO_DATA_DIR", BASE_DIR / "var")
SECRET_KEY = environment.secret_key("DYNAMO_SECRET_KEY", DATA_DIR)
DEBUG = environment.boolean("DYNAMO_DEBUG", False)
if DEBUG:
    environment.no_debug_beside("DATABASE_URL", "REDIS_URL", "DYNAMO_PROXY_ADDRESSES", "DYNAMO_ALLOWED_HOSTS")
ALLOWED_HOSTS = environment.hosts("DYNAMO_ALLOWED_HOSTS", "*")
CSRF_TRUSTED_ORIGINS = environment.origins("DYNAMO_TRUSTED_ORIGINS")

DYNAMO_COMMAND_TIMEOUT = environment.number("DYNAMO_COMMAND_TIMEOUT", 10, 0.1, 3600)
DYNAMO_DATABASE_POOL = environment.integer("DYNAMO_DATABASE_POOL", 20, 2)
DYNAMO_DATABASE_THREADS = environment.integer("DYNAMO_DATABASE_THREADS", 8, 1)
DYNAMO_RETENTION_DAYS = environment.integer("DYNAMO_RETENTION_DAYS", 90, 1, 36_500)
# Only these may tell where a peer is, whether it used TLS, and which certificate it showed.
DYNAMO_PROXY_ADDRESSES = environment.networks("DYNAMO_PROXY_ADDRESSES")
DYNAMO_CLIENT_CERTIFICATE_HEADER = environment.header("DYNAMO_CLIENT_CERTIFICATE_HEADER")
DYNAMO_TLS = environment.boolean("DYNAMO_TLS", False)
if not DYNAMO_PROXY_ADDRESSES:
    environment.only_behind_proxy(
        DYNAMO_TLS=DYNAMO_TLS, DYNAMO_CLIENT_CERTIFICATE_HEADER=DYNAMO_CLIENT_CERTIFICATE_HEADER
    )
DYNAMO_API_RATE = environment.integer("DYNAMO_API_RATE", 600_000)
DYNAMO_WEBHOOK_RETRY_SECONDS = environment.number("DYNAMO_WEBHOOK_RETRY_SECONDS", 5, 0.1, 3600)
# For development: http, and receivers that only this machine reaches.
DYNAMO_WEBHOOK_PRIVATE_ADDRESSES = environment.boolean("DYNAMO_WEBHOOK_PRIVATE_ADDRESSES", False)
DYNAMO_TIMESTAMP_MILLISECONDS = environment.boolean("DYNAMO_TIMESTAMP_MILLISECONDS", False)

INSTALLED_APPS = [
    "dynamo",
    "ocpp16",
    "chargepoints",
    "apikeys",
    "dynamo.site.DynamoAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "dynamo.apps.FailedLoginsConfig",
]

MIDDLEWARE = [
    "dynamo.middleware.request_id",
    "csp.middleware.CSPMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "dynamo.middleware.HostMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "dynamo.urls"
ASGI_APPLICATION = "dynamo.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
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

DATABASES = {"default": environment.database("DATABASE_URL", DYNAMO_DATABASE_POOL, DATA_DIR / "dynamo.sqlite3")}
CHANNEL_LAYERS = {"default": environment.channel_layer("REDIS_URL")}
DYNAMO_REDIS_URL = environment.text("REDIS_URL")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]

AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
# A stranger locks out a name from their own address only, not its owner elsewhere.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_HANDLER = "dynamo.logins.FailedLogins"
AXES_CLIENT_IP_CALLABLE = "dynamo.logins.client_address"
AXES_LOCKOUT_CALLABLE = "dynamo.logins.locked_out"
# Some type their password where their name belongs.
AXES_SENSITIVE_PARAMETERS = ["username", "csrfmiddlewaretoken"]
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = AXES_VERBOSE = False

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True
FORMAT_MODULE_PATH = "dynamo.formats"

STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
# Behind TLS the cookies must not leave it; a first start on plain http://localhost has no TLS.
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = DYNAMO_TLS
HSTS_SECONDS = environment.integer("DYNAMO_HSTS_SECONDS", 31_536_000, maximum=10**9)
SECURE_HSTS_SECONDS = HSTS_SECONDS if DYNAMO_TLS else 0
SECURE_REDIRECT_EXEMPT = [r"^(livez|readyz|metrics|doctor)$"]  # asked from inside, or about TLS
# Other hosts of the same domain, and the browsers' preload list, are not for one of its servers to decide.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'self'"],
    }
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["apikeys.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["apikeys.permissions.HasScope"],
    "DEFAULT_THROTTLE_CLASSES": ["apikeys.rates.WithinRate"],
    "DEFAULT_PARSER_CLASSES": ["dynamo.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "dynamo.negotiation.FirstRenderer",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "dynamo.errors.exception_handler",
    "UNAUTHENTICATED_USER": None,
    # No member of a body has this name, so its errors cannot pass for those of the object that holds it.
    "NON_FIELD_ERRORS_KEY": "\x00",
    "DATETIME_FORMAT": "%Y-%m-%dT%H:%M:%SZ",
    # Whatever a charge point wrote can be told: escapes hold what UTF-8 cannot.
    "UNICODE_JSON": False,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Dynamo",
    "DESCRIPTION": (
        "Send OCPP 1.6 commands to charge points and read their state.\n\n"
        "Every request carries an API key: `Authorization: Bearer KEY`, or `X-API-Key: KEY`. Every error has one form, "
        "and every response an `X-Request-Id`: your own, if you send one."
    ),
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SORT_OPERATIONS": False,
    "SERVE_AUTHENTICATION": [],
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enum_id_removal",
        "dynamo.schema.describe_operations",
        "dynamo.schema.describe_webhooks",
    ],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "persistAuthorization": False},
}

# Without one, only this machine may read /metrics.
DYNAMO_METRICS_TOKEN = environment.token("DYNAMO_METRICS_TOKEN")
LOG_LEVEL = environment.choice("DYNAMO_LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))
LOG_FORMAT = environment.choice("DYNAMO_LOG_FORMAT", "LINE", ("LINE", "JSON"))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"LINE": {"()": "dynamo.logs.LineFormatter"}, "JSON": {"()": "dynamo.logs.JSONFormatter"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        "axes": {"level": "WARNING"},
        "daphne": {"level": "WARNING"},
        "django.request": {"level": "ERROR"},
        # The client library of the simulator logs headers, and so passwords, at DEBUG.
        "websockets": {"level": "INFO"},
    },
}
