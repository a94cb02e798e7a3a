"""Settings: one frozen value, read once in `infra` (flag > environment > file > default)."""

from typing import Literal, Self

from msgspec import Struct

from core.redaction import remember

Identity = Literal["vscode", "direct"]


class Secret(str):
    """Text that hides itself in `repr`, and that `core.redaction` takes out of all other text from its making on."""

    __slots__ = ()

    def __new__(cls, value: str) -> Self:
        """Make this value known as a secret."""
        remember(value)
        return super().__new__(cls, value)

    def __repr__(self) -> str:
        return "Secret('***')" if self else "Secret('')"


class Settings(Struct, frozen=True, kw_only=True):
    """Everything that can be configured. Times are seconds, sizes bytes.

    The environment names are these in capitals after `COPILOT_GATEWAY_`; the file names are these.
    """

    # Upstream
    github_token: Secret = Secret("")
    github_url: str = "https://github.com"
    github_api_url: str = "https://api.github.com"
    copilot_url: str = ""  # empty: the token reply's `endpoints.api`
    enterprise_host: str = ""  # a data-residency tenant, `acme.ghe.com`
    identity: Identity = "vscode"
    client_id: str = ""  # OAuth app for the device login; empty: the identity's own
    # The version of the wire protocol that VS Code speaks; old values hide models.
    api_version: str = "2026-01-09"
    editor_version: str = "vscode/1.110.0"
    editor_plugin_version: str = "copilot-chat/0.38.0"

    # Serving
    host: str = "127.0.0.1"
    port: int = 4141
    allowed_hosts: tuple[str, ...] = ()  # beside the loopback names and the bound host
    allowed_origins: tuple[str, ...] = ()  # of web pages and apps that may call from elsewhere, exact
    allow_plain_http: bool = False  # listen beyond this machine without TLS of our own
    data_dir: str = ""
    api_key: Secret = Secret("")
    max_body_bytes: int = 32 * 1024 * 1024
    rate_limit: float = 0.0  # seconds between requests; 0: off
    wait: bool = False
    manual: bool = False
    approval_timeout: float = 300.0  # for which a request waits for a person's approval
    # Over all keys together; 0: off. None: 300 and 10,000, and off where the upstream is a stand-in on this machine.
    requests_per_minute: int | None = None
    requests_per_day: int | None = None
    credits_per_day: float = 0.0  # Copilot's AI credits, over all keys together; 0: off
    breaker_refusals: int = 5  # in a row, after which a model is not asked for a while; 0: off
    verbose: bool = False
    show_token: bool = False
    proxy_env: bool = True  # honour HTTPS_PROXY and NO_PROXY
    log_format: Literal["text", "json"] = "text"
    log_file: str = ""  # empty: `gateway.log` in the data directory; "off": none
    log_file_bytes: int = 10 * 1024 * 1024  # a longer one is put aside, and a new one begun
    log_file_count: int = 5  # how many of those are kept
    capture_dir: str = ""  # where whole exchanges are kept for bug reports; empty: nowhere
    capture_bodies: Literal["redacted", "full"] = "redacted"
    store_responses: bool = False
    store_ttl: float = 30 * 24 * 3600.0  # how long a stored response is kept
    upstream_count_tokens: bool = True

    # Models
    aliases: dict[str, str] = {}  # id that a client sends -> id in the catalogue
    # Corrections to what the gateway believes of a model, by id pattern: {"gpt-6*": {"sampling": true}}. The names are
    # those of core.model.Model: output_limit_name, sampling, prefill, adaptive_only, mid_system.
    quirks: dict[str, dict[str, bool | str]] = {}
    small_model: str = ""  # what retired background models map to
    # The model id `auto`, Copilot's own choice: always, never, or only where Copilot's list has an entry of that name.
    auto: Literal["on", "off", "catalogue"] = "on"
    # Which model searches the web for models that cannot: an id, "off", or empty for the first OpenAI model on /responses.
    web_search_model: str = ""

    # Patience
    connect_timeout: float = 10.0
    first_byte_timeout: float = 600.0
    idle_timeout: float = 300.0
    commit_after: float = 1.0  # silence before a streaming reply is committed with a ping
    heartbeat: float = 10.0
    head_timeout: float = 20.0  # for a request's head to arrive whole
    body_timeout: float = 60.0  # for each further 64 KB of a request's body
    send_timeout: float = 120.0  # while a client takes no byte of its answer
    keep_alive: float = 120.0  # for which a connection may stay unused
    catalogue_ttl: float = 600.0
