"""Where settings come from and which are refused."""

from pathlib import Path

import pytest

from core.settings import Secret, Settings
from infra.settings import SettingsError, ambient_token, check_exposure, load_settings


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "COPILOT_GATEWAY_DATA_DIR": str(tmp_path)}


def configure(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "config.toml"
    file.write_text(text)
    file.chmod(0o600)
    return file


def refusal(environ: dict[str, str], **flags: object) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(flags, environ)
    return str(caught.value)


def test_nothing_configured_gives_the_defaults(environ: dict[str, str], tmp_path: Path) -> None:
    assert load_settings({"port": None}, environ) == Settings(data_dir=str(tmp_path))


def test_flag_beats_environment_beats_file(environ: dict[str, str], tmp_path: Path) -> None:
    configure(tmp_path, 'port = 1\nrate_limit = 1\nlog_format = "json"\n')
    environ |= {"COPILOT_GATEWAY_PORT": "2", "COPILOT_GATEWAY_RATE_LIMIT": "2.5"}
    settings = load_settings({"port": 3}, environ)
    assert (settings.port, settings.rate_limit, settings.log_format) == (3, 2.5, "json")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("WAIT", "yes", True),
        ("WAIT", "OFF", False),
        ("PORT", "0", 0),
        ("IDLE_TIMEOUT", "30", 30.0),
        ("ALLOWED_HOSTS", "a.example, b.example", ("a.example", "b.example")),
        (
            "ALIASES",
            "sonnet=claude-sonnet-5, mini=gpt-5-mini",
            {"sonnet": "claude-sonnet-5", "mini": "gpt-5-mini"},
        ),
        ("ALLOWED_HOSTS", '["a.example", "b.example"]', ("a.example", "b.example")),
        ("ALIASES", '{"fast": "gpt-5-mini"}', {"fast": "gpt-5-mini"}),
        ("ALIASES", "{}", {}),
        ("QUIRKS", '{"gpt-6*": {"sampling": true}}', {"gpt-6*": {"sampling": True}}),
        ("IDENTITY", "direct", "direct"),
        ("GITHUB_TOKEN", "gho_abc", "gho_abc"),
        ("HOST", "[::1]", "::1"),
    ],
)
def test_variable_is_read_as_its_settings_type(
    environ: dict[str, str], name: str, text: str, expected: object
) -> None:
    settings = load_settings({}, environ | {f"COPILOT_GATEWAY_{name}": text})
    assert getattr(settings, name.lower()) == expected


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("PORT", "abc", "COPILOT_GATEWAY_PORT must be a whole number, not 'abc'."),
        ("PORT", "4_141", "COPILOT_GATEWAY_PORT must be a whole number, not '4_141'."),
        ("PORT", "70000", "COPILOT_GATEWAY_PORT must be a port from 0 (any free one) to 65535, not '70000'."),
        ("WAIT", "maybe", "COPILOT_GATEWAY_WAIT must be true or false, not 'maybe'."),
        (
            "RATE_LIMIT",
            "nan",
            "COPILOT_GATEWAY_RATE_LIMIT must be a number of seconds, 0 or more, not 'nan'.",
        ),
        ("IDENTITY", "me", "COPILOT_GATEWAY_IDENTITY must be one of vscode, direct, not 'me'."),
        ("ALIASES", "a", "COPILOT_GATEWAY_ALIASES must be a table (a=b,c=d or JSON), not 'a'."),
        (
            "ALIASES",
            '{"a": ',
            "COPILOT_GATEWAY_ALIASES must be a table (a=b,c=d or JSON), not '{\"a\":'.",
        ),
        (
            "QUIRKS",
            "gpt-6*=sampling",
            "COPILOT_GATEWAY_QUIRKS must be a table (a=b,c=d or JSON), not 'gpt-6*=sampling'.",
        ),
        ("PROT", "1", "COPILOT_GATEWAY_PROT is no setting. Did you mean COPILOT_GATEWAY_PORT?"),
        ("XYZZY", "1", "COPILOT_GATEWAY_XYZZY is no setting."),
        ("API_KEY", "a b", "COPILOT_GATEWAY_API_KEY must be printable ASCII without spaces."),
    ],
)
def test_bad_variable_is_refused_by_name(
    environ: dict[str, str], name: str, text: str, expected: str
) -> None:
    assert refusal(environ | {f"COPILOT_GATEWAY_{name}": text}) == expected


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("HOST", "127.0.0.1:4141"),
        ("HOST", "[::1]:4141"),
        ("ALLOWED_HOSTS", "https://gateway.example"),
        ("ALLOWED_HOSTS", "gateway.example:443"),
        ("ALLOWED_HOSTS", "*.example"),
        ("EDITOR_VERSION", "vscode/1\nx-evil: 1"),
        ("API_VERSION", "2026 01 09"),
        ("QUIRKS", '{"gpt-6*": {"samplng": true}}'),
        ("QUIRKS", '{"gpt-6*": {"sampling": "yes"}}'),
    ],
)
def test_a_value_that_could_never_do_anything_is_refused(
    environ: dict[str, str], name: str, text: str
) -> None:
    assert f"COPILOT_GATEWAY_{name} must be " in refusal(environ | {f"COPILOT_GATEWAY_{name}": text})


def test_bad_flag_is_refused_by_name(environ: dict[str, str]) -> None:
    assert (
        refusal(environ, rate_limit=-1.0) == "--rate-limit must be a number of seconds, 0 or more, not -1.0."
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('port = "4141"', "{file}: port must be a whole number, not '4141'."),
        ("prot = 1", "{file}: prot is no setting. Did you mean port?"),
        (
            'data_dir = "/x"',
            "{file}: data_dir says where this file lies. Set COPILOT_GATEWAY_DATA_DIR instead.",
        ),
    ],
)
def test_bad_file_entry_is_refused_by_name(
    environ: dict[str, str], tmp_path: Path, text: str, expected: str
) -> None:
    file = configure(tmp_path, text)
    assert refusal(environ) == expected.format(file=file)


def test_a_byte_order_mark_at_the_files_beginning_says_nothing(
    environ: dict[str, str], tmp_path: Path
) -> None:
    configure(tmp_path, "").write_bytes(b"\xef\xbb\xbfport = 1\r\nwait = true\r\n")
    settings = load_settings({}, environ)
    assert (1, True) == (settings.port, settings.wait)


@pytest.mark.parametrize("content", [b"port = ", b"\xff\xfe", b"port 1"])
def test_file_that_is_no_toml_is_refused(environ: dict[str, str], tmp_path: Path, content: bytes) -> None:
    file = configure(tmp_path, "")
    file.write_bytes(content)
    assert refusal(environ).startswith(f"{file} is not valid TOML: ")


def test_file_with_a_secret_that_others_may_read_is_refused(environ: dict[str, str], tmp_path: Path) -> None:
    file = configure(tmp_path, 'api_key = "abc"')
    assert load_settings({}, environ).api_key == "abc"
    file.chmod(0o644)
    assert refusal(environ) == f"{file} holds api_key, and other users may read it. Run `chmod 600 {file}`."


def test_empty_variable_counts_as_not_set(environ: dict[str, str], tmp_path: Path) -> None:
    assert load_settings({}, environ | {"COPILOT_GATEWAY_PORT": ""}) == Settings(data_dir=str(tmp_path))


def test_names_of_other_parts_are_left_to_them(environ: dict[str, str], tmp_path: Path) -> None:
    environ["COPILOT_GATEWAY_TABLE"] = "state"
    assert load_settings({}, environ, known_elsewhere={"TABLE"}) == Settings(data_dir=str(tmp_path))


def test_short_name_of_the_token_gives_way_to_the_full_one(environ: dict[str, str]) -> None:
    environ["COPILOT_GATEWAY_GH_TOKEN"] = "gho_short"
    assert load_settings({}, environ).github_token == "gho_short"
    environ["COPILOT_GATEWAY_GITHUB_TOKEN"] = "gho_full"
    assert load_settings({}, environ).github_token == "gho_full"


def test_secrets_are_never_shown() -> None:
    settings = Settings(api_key=Secret("hidden-key"), github_token=Secret("gho_hidden"))
    assert "hidden" not in repr(settings)


@pytest.mark.parametrize("name", ["GITHUB_URL", "GITHUB_API_URL", "COPILOT_URL"])
def test_plain_http_is_for_loopback_only(environ: dict[str, str], name: str) -> None:
    variable = f"COPILOT_GATEWAY_{name}"
    load_settings({}, environ | {variable: "http://127.0.0.1:9000"})
    message = refusal(environ | {variable: "http://github.example"})
    assert message == (
        f"The setting {name.lower()} must use https: tokens travel there. "
        f"Plain http is for loopback only. ({variable})"
    )


def test_enterprise_host_must_be_a_tenant(environ: dict[str, str]) -> None:
    load_settings({}, environ | {"COPILOT_GATEWAY_ENTERPRISE_HOST": "acme.ghe.com"})
    message = refusal(environ | {"COPILOT_GATEWAY_ENTERPRISE_HOST": "evil.example"})
    assert "acme.ghe.com" in message
    assert message.endswith("(COPILOT_GATEWAY_ENTERPRISE_HOST)")


@pytest.mark.parametrize(
    ("platform", "environ", "expected"),
    [
        ("linux", {"HOME": "/home/me"}, "/home/me/.local/share/copilot-gateway"),
        ("linux", {"HOME": "/home/me", "XDG_DATA_HOME": "/xdg"}, "/xdg/copilot-gateway"),
        ("linux", {"HOME": "/home/me", "XDG_DATA_HOME": "relative"}, "/home/me/.local/share/copilot-gateway"),
        ("darwin", {"HOME": "/Users/me"}, "/Users/me/Library/Application Support/copilot-gateway"),
        ("win32", {"HOME": "/u", "LOCALAPPDATA": "/u/AppData/Local"}, "/u/AppData/Local/copilot-gateway"),
        ("linux", {"HOME": "/home/me", "COPILOT_GATEWAY_DATA_DIR": "/data"}, "/data"),
    ],
)
def test_data_directory_is_the_platforms_own(platform: str, environ: dict[str, str], expected: str) -> None:
    assert load_settings({}, environ, platform=platform).data_dir == expected


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "gateway.example"])  # noqa: S104 - the addresses that must be refused
def test_listening_beyond_this_machine_needs_a_key(host: str) -> None:
    with pytest.raises(SettingsError, match="COPILOT_GATEWAY_API_KEY"):
        check_exposure(Settings(host=host))
    keyed = Settings(host=host, api_key=Secret("long-random-text"), allow_plain_http=True)
    check_exposure(keyed)
    check_exposure(Settings(host=host, allow_plain_http=True), lambda: True)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "gateway.example"])  # noqa: S104 - as above
def test_listening_beyond_this_machine_without_tls_needs_a_word(host: str) -> None:
    with pytest.raises(SettingsError, match="ALLOW_PLAIN_HTTP"):
        check_exposure(Settings(host=host, api_key=Secret("long-random-text")))


def test_a_name_by_which_a_proxy_lets_others_in_beyond_this_machine_needs_a_key_but_no_word_about_tls() -> (
    None
):
    behind_a_proxy = Settings(allowed_hosts=("localhost", "ai.example"))
    with pytest.raises(SettingsError, match=r"be called localhost, ai\.example.*keys create"):
        check_exposure(behind_a_proxy)
    check_exposure(behind_a_proxy, lambda: True)
    check_exposure(Settings(allowed_hosts=("localhost", "127.0.0.2")))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_loopback_needs_no_key(host: str) -> None:
    check_exposure(Settings(host=host))


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, ""),
        ({"GH_TOKEN": "ghu_a", "GITHUB_TOKEN": "gho_b"}, "ghu_a"),
        ({"GH_TOKEN": "ghp_classic", "GITHUB_TOKEN": "gho_b"}, "gho_b"),
        ({"GITHUB_TOKEN": "github_pat_x"}, ""),
    ],
)
def test_only_oauth_tokens_are_taken_from_other_tools(environ: dict[str, str], expected: str) -> None:
    assert ambient_token(environ) == expected
