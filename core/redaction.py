"""No secret in what people and files get to read: known values are taken out by type, others by their form.

Every `Secret` is known from its making on (`core.settings`). `redact` is what all text passes on its way out: log
lines with their tracebacks, errors, what the commands print, captures.
"""

import json
import re
import threading
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

HIDDEN: Final = "***"
# What is shorter may be a word of every second line.
_SHORTEST: Final = 8
# Values of no known form: a few keys of an operator's own making. More would slow every line down.
_MOST_KNOWN: Final = 256

# Between a name and its value: as headers, JSON, JSON within JSON, query strings and tuples of Python write it.
_QUOTES: Final = r"""(?:\\*["'])"""
_IS: Final = rf"(?:{_QUOTES}*\s*[:=]\s*{_QUOTES}*|{_QUOTES}+\s*,\s*{_QUOTES}+)"
_VALUE: Final = r"""(?:[^\s"'`,;&\\<>]|\\[^\s"'])"""  # an escape is taken whole, so that JSON stays JSON
_CREDENTIAL: Final = _VALUE.replace("&", "").replace(";", "")  # Copilot's tokens have semicolons in them
_NAMES: Final = "(?:access|refresh|session|security)[-_]token|device_code|client_secret|secret_?access_?key|password|x-amz-signature"
_FORMS: Final = (
    r"gh[oprsu]_[A-Za-z0-9]{16,}",  # GitHub
    r"github_pat_[A-Za-z0-9_]{16,}",
    r"""\btid=[^\s"'\\<>]+""",  # Copilot
    r"cgw_[0-9A-Za-z]{16,}",  # this gateway
    r"\bsk-[A-Za-z0-9_-]{16,}",  # OpenAI, Anthropic and their followers
    r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}",  # AWS
    r"\bAIza[A-Za-z0-9_-]{30,}",  # Google
    r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+",  # JSON web tokens
    r"""-----BEGIN [A-Z ]*PRIVATE KEY-----[^-"]*(?:-----END [A-Z ]*PRIVATE KEY-----)?""",
    r"""(?<=://)[^\s"'`,;\\<>/]+(?=@)""",  # a URL's user and password
    rf"(?<=\b[Bb]earer\s){_CREDENTIAL}{{8,}}",
    r"(?<=\b[Bb]asic\s)(?=[A-Za-z+/]*[0-9=]|[A-Za-z]*[a-z][A-Z])[A-Za-z0-9+/]{8,}={0,2}",
    # The name in front tells that a value is secret; it stays.
    rf"(?i:(?P<header>(?:authorization|api[-_]?key){_IS}(?:(?:bearer|basic|token)\s+)?){_CREDENTIAL}{{8,}})",
    rf"""(?i:(?P<cookie>cookie{_IS})[^\r\n"'\\]{{8,}})""",
    rf"(?i:(?P<member>(?:{_NAMES}){_IS}){_VALUE}{{6,}})",
)
_BY_FORM: Final = re.compile("|".join(_FORMS))
# One of these, in lower case, is in every text that the pattern fits: looking for them costs a hundredth of it.
_MARKS: Final = (
    *("gho_", "ghp_", "ghr_", "ghs_", "ghu_", "github_pat_", "tid=", "cgw_", "sk-", "akia", "asia", "aiza"),
    *(
        "eyj",
        "-----begin",
        "://",
        "bearer",
        "basic",
        "authorization",
        "api-key",
        "api_key",
        "apikey",
        "cookie",
    ),
    *("access-token", "access_token", "refresh", "session-token", "session_token", "security", "device_code"),
    *("secret", "password", "x-amz-signature"),
)


class _Known:
    """The values that are secret whatever they look like; shared by all threads of the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, None] = {}
        self.spelled: tuple[str, ...] = ()

    def add(self, value: str) -> None:
        """Keep a value, the oldest gives way; one that shows by its form, or is too short, needs no place here."""
        if value in self._values or len(value) < _SHORTEST or _BY_FORM.fullmatch(value):
            return
        with self._lock:
            self._values[value] = None
            if len(self._values) > _MOST_KNOWN:
                del self._values[next(iter(self._values))]
            spelled = {text for known in self._values for text in _spellings(known)}
            self.spelled = tuple(sorted(spelled, key=lambda text: (-len(text), text)))  # longest first


_KNOWN: Final = _Known()


def remember(value: str) -> None:
    """Have this value taken out of all text from now on."""
    _KNOWN.add(value)


def redact(text: str) -> str:
    """Return the text with `***` for every known secret and for whatever has a secret's form."""
    return _without_secrets(text, lambda _secret: HIDDEN)


def mask(text: str) -> str:
    """Do as `redact`, but with stars for each secret, as many as it has bytes: the text keeps its size."""
    return _without_secrets(text, lambda secret: "*" * len(secret.encode("utf-8", "surrogatepass")))


def _without_secrets(text: str, stand_in: Callable[[str], str]) -> str:
    for secret in _KNOWN.spelled:
        if secret in text:
            text = text.replace(secret, stand_in(secret))
    lowered = text.lower()
    if not any(map(lowered.__contains__, _MARKS)):
        return text

    def hidden(match: re.Match[str]) -> str:
        name = match[match.lastgroup] if match.lastgroup else ""
        return name + stand_in(match[0][len(name) :])

    return _BY_FORM.sub(hidden, text)


def _spellings(value: str) -> set[str]:
    """Return the value as text, JSON, JSON within JSON, `repr` and URLs write it."""
    quoted = json.dumps(value)[1:-1]
    return {value, quoted, json.dumps(quoted)[1:-1], repr(value)[1:-1], quote(value, safe="")}
