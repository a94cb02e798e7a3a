"""The allow list for bearers."""

import pytest

from core.copilot.hosts import Hosts, copilot_base, hosts_of
from core.errors import GatewayError
from core.settings import Settings

PUBLIC = hosts_of(Settings())
TENANT = hosts_of(Settings(enterprise_host="acme.ghe.com"))


def test_github_com_is_the_default() -> None:
    assert PUBLIC == Hosts(
        github="https://github.com", rest="https://api.github.com", copilot="https://api.githubcopilot.com"
    )


@pytest.mark.parametrize(
    "name",
    [
        "acme.ghe.com",
        "api.acme.ghe.com",
        "copilot-api.acme.ghe.com",
        "https://acme.ghe.com/",
        " ACME.ghe.com ",
    ],
)
def test_every_spelling_of_a_tenant_means_its_hosts(name: str) -> None:
    expected = Hosts(
        github="https://acme.ghe.com",
        rest="https://api.acme.ghe.com",
        copilot="https://copilot-api.acme.ghe.com",
        tenant="acme.ghe.com",
    )
    assert expected == hosts_of(Settings(enterprise_host=name))


@pytest.mark.parametrize(
    "name",
    [
        "acme.com",
        "http://acme.ghe.com",
        "acme.ghe.com:444",
        "acme.ghe.com/x",
        "a.b.ghe.com",
        "acme.ghe.com.evil.com",
        "u@acme.ghe.com",
    ],
)
def test_a_host_that_is_no_tenant_is_refused(name: str) -> None:
    with pytest.raises(GatewayError, match="enterprise_host"):
        hosts_of(Settings(enterprise_host=name))


@pytest.mark.parametrize(
    ("hosts", "url"),
    [
        (PUBLIC, "https://api.githubcopilot.com"),
        (PUBLIC, "https://api.individual.githubcopilot.com"),
        (PUBLIC, "https://api.business.githubcopilot.com:443"),
        (TENANT, "https://copilot-api.acme.ghe.com"),
        (TENANT, "https://api.githubcopilot.com"),
    ],
)
def test_copilot_hosts_may_see_the_bearer(hosts: Hosts, url: str) -> None:
    assert url == copilot_base(hosts, url)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.githubcopilot.com",
        "https://evilgithubcopilot.com",
        "https://githubcopilot.com.evil",
        "https://api.githubcopilot.com.evil",
        "https://api.githubcopilot.com:8443",
        "https://api.githubcopilot.com@evil.com",
        "https://user:pass@api.githubcopilot.com",
        "https://evil.com/api.githubcopilot.com",
        "https://evil.com#.githubcopilot.com",
        "https://evil.com?.githubcopilot.com",
        "https://evil.com\\.githubcopilot.com",
        "https://api.githubcopilot.com/../x",
        "https://api.githubcopilot.com/v1",
        "https://api.githubcopilot.com\n.evil.com",
        "https://api..githubcopilot.com",
        "https://api.githubcopilot.com.",
        "https://api.gıthubcopilot.com",
        "https://apí.githubcopilot.com",
        "https://copilot-api.acme.ghe.com",
        "http://127.0.0.1:80",
        "ftp://api.githubcopilot.com",
        "//api.githubcopilot.com",
        "javascript:alert(1)",
    ],
)
def test_no_other_host_sees_the_bearer(url: str) -> None:
    with pytest.raises(GatewayError) as caught:
        copilot_base(PUBLIC, url)
    assert caught.value.code == "host_refused"


def test_a_configured_copilot_url_wins_over_the_reply() -> None:
    hosts = hosts_of(Settings(copilot_url="https://relay.example/copilot/"))
    assert copilot_base(hosts, "https://evil.com") == "https://relay.example/copilot"


def test_a_local_stand_in_may_name_a_local_host() -> None:
    hosts = hosts_of(Settings(github_api_url="http://127.0.0.1:9"))
    assert copilot_base(hosts, "http://127.0.0.1:10") == "http://127.0.0.1:10"


@pytest.mark.parametrize(
    "url",
    [
        "http://github.example",
        "https://u:p@github.example",
        "https://github.example?x=1",
        "nonsense",
        "https://h:99999",
    ],
)
def test_an_unsafe_setting_is_refused(url: str) -> None:
    with pytest.raises(GatewayError) as caught:
        hosts_of(Settings(github_api_url=url))
    assert caught.value.code == "bad_setting"
    assert "u:p" not in caught.value.message
