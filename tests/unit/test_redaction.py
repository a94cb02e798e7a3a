"""Secrets are taken out of text: known ones by value, others by form, and nothing else is."""

import json
import logging
import traceback
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import GatewayError
from core.redaction import mask, redact
from core.settings import Secret

FORMS = [
    "gho_abcdefghij0123456789",
    "ghu_abcdefghij0123456789",
    "ghp_abcdefghij0123456789",
    "github_pat_11ABCDEFG0abcdefghij_0123456789",
    "tid=fake0001;exp=1763846400;sku=monthly_subscriber_quota;chat=1;mcp=1:fakesig",
    "cgw_0123456789ABCDEFGHIJabcdefghij0123456789abc",
    "sk-ant-" + "a1B2-c3_D4" * 3,
    "sk-proj-abcdefghij0123456789",
    "AKIAIOSFODNN7EXAMPLE",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
]
HEADERS = [
    ("authorization", "Bearer opaque-value-1"),
    ("Authorization", "Basic dXNlcjpodW50ZXIy"),
    ("Authorization", "token opaque-value-2"),
    ("Proxy-Authorization", "Basic dXNlcjpodW50ZXIy"),
    ("x-api-key", "opaque-value-3"),
    ("Cookie", "gateway-session=opaque-value-4; theme=dark"),
    ("copilot-session-token", "opaque-value-5"),
    ("authorization", "Bearer tid=one;exp=1;chat=1:opaque-signature"),
    ("authorization", "token one;two&opaque-three"),
]


@pytest.mark.parametrize("secret", FORMS, ids=lambda secret: secret[:8])
@pytest.mark.parametrize(
    "write",
    [str, repr, json.dumps, lambda text: json.dumps(json.dumps({"a": text})), lambda text: f"({text})"],
)
def test_what_has_a_secrets_form_is_taken_out_however_it_is_written(secret: str, write: object) -> None:
    assert callable(write)
    text = str(write(secret))
    assert secret not in redact(f"before {text} after")
    assert "before " in redact(f"before {text} after")


@pytest.mark.parametrize("header", HEADERS, ids=lambda header: header[1][:12])
def test_header_values_are_taken_out_in_every_notation(header: tuple[str, str]) -> None:
    name, value = header
    for text in (
        f"{name}: {value}\r\nhost: a", str({name: value}), str([header]), json.dumps({name: value}),
        json.dumps(json.dumps({name: value})),
    ):  # fmt: skip
        told = redact(text)
        assert value.split()[-1] not in told
        assert name in told


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://user:pass@proxy:3128/x", "http://***@proxy:3128/x"),
        ("https://host/a?access_token=abcdef123&b=1", "https://host/a?access_token=***&b=1"),
        ("password=hunter22", "password=***"),
    ],
)
def test_only_the_secret_part_goes(text: str, expected: str) -> None:
    assert expected == redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "Missing or wrong API key: send the gateway's key as `Authorization: Bearer` or `x-api-key`.",
        "ANTHROPIC_BASE_URL=http://127.0.0.1:4141   ANTHROPIC_API_KEY=any text",
        "set COPILOT_GATEWAY_API_KEY (or api_key in config.toml) to a long random text",
        "request.done   id=req_0123456789abcdef0123456789abcdef model=gpt-5-mini first_token=0.412 output=12",
        "Basic authentication is not offered. A task-oriented-risk-management-system is.",
        "http://127.0.0.1:4141/v1/messages",
    ],
)  # fmt: skip
def test_words_about_secrets_stay(text: str) -> None:
    assert text == redact(text) == mask(text)


@pytest.mark.parametrize(
    "secret", ['odd "quoted" value', "back\\slash value", "spaced & slashed/value", "umläut-wert"]
)
def test_a_secret_value_of_no_form_is_known_from_its_making(secret: str) -> None:
    text = Secret(secret)
    for spelled in (
        secret,
        json.dumps(secret),
        json.dumps(json.dumps(secret)),
        repr(secret),
        quote(secret, safe=""),
    ):
        told = redact(f"<{spelled}>")
        assert "***" in told
        assert "value" not in told
        assert "wert" not in told
    assert secret == text


def test_a_short_value_does_not_blacken_every_line() -> None:
    Secret("e")
    assert redact("here we are") == "here we are"


def test_an_error_never_carries_a_secret() -> None:
    error = GatewayError("refused: Bearer opaque-value-6", kind="upstream")
    assert (error.message, str(error)) == ("refused: Bearer ***", "refused: Bearer ***")


def test_a_traceback_is_text_like_any_other() -> None:
    told = redact("".join(traceback.format_exception(RuntimeError("gho_abcdefghij0123456789"))))
    assert told == "RuntimeError: ***\n"


@pytest.mark.parametrize("secret", FORMS, ids=lambda secret: secret[:8])
def test_a_mask_keeps_the_size(secret: str) -> None:
    text = f"è {secret} ü"
    masked = mask(text)
    assert secret not in masked
    assert len(text.encode()) == len(masked.encode())


@given(st.text())
def test_any_text_can_be_redacted_once_and_for_all(text: str) -> None:
    assert redact(text) == redact(redact(text))
    assert len(text.encode("utf-8", "surrogatepass")) == len(mask(text).encode("utf-8", "surrogatepass"))


@given(
    st.dictionaries(
        st.sampled_from(["authorization", "password", "text"]), st.text() | st.sampled_from(FORMS)
    )
)
def test_json_stays_json(members: dict[str, str]) -> None:
    assert json.loads(redact(json.dumps(members))).keys() == members.keys()


def test_settings_that_are_logged_show_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("tests").warning("settings %r", Secret("opaque-value-7"))
    assert "opaque" not in caplog.text
