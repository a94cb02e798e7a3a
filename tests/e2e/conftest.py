"""One fake and one gateway for all end-to-end tests of a worker; every test finds them as they were at the start."""

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from tests.e2e.cli_driver import Started, environment
from tests.e2e.hosting import PATIENCE, Hosted, Wire, environ_for, new_fake
from tests.e2e.upstream import Upstream
from tests.emulators.copilot import DEMO_TOKEN, FakeCopilot
from tests.emulators.copilot.state import Account


@pytest.fixture(scope="session")
def one_fake() -> Iterator[FakeCopilot]:
    fake = new_fake()
    yield fake
    fake.stop()


@pytest.fixture
def fake(one_fake: FakeCopilot) -> Iterator[FakeCopilot]:
    """The fake, healthy and with an empty log; what a test changes is undone after it."""
    one_fake.clear_log()
    models, limit = copy.deepcopy(one_fake.models), one_fake.state.body_limit
    yield one_fake
    one_fake.models[:] = models
    one_fake.state.modes.clear()
    one_fake.state.forced.clear()
    one_fake.state.body_limit, one_fake.state.count_tokens_known = limit, True
    fresh = Account(DEMO_TOKEN)
    for name in Account.__slots__:
        setattr(one_fake.account, name, getattr(fresh, name))


def started(fake: FakeCopilot, directory: Path, **settings: object) -> Iterator[str]:
    """Run `copilot-gateway start` and yield its base URL; a traceback in its log is a failure."""
    # Tests share these gateways, and many have upstream refuse; whether that ends the asking is the subject of others.
    # So is a status that is told before upstream has answered: here no busy machine turns a refusal into a 200.
    chosen: dict[str, object] = {"breaker_refusals": 0, "commit_after": PATIENCE, **settings}
    environ = environment(directory, fake) | environ_for(fake, directory / "data", **chosen)
    program = Started(environ)
    try:
        url = program.url()
    except ValueError:
        pytest.fail("\n".join(program.said))
    yield url
    code = program.stop()
    traces = [line for line in program.said if "Traceback" in line or "crashed" in line]
    assert (0, []) == (code, traces), "\n".join(program.said)


@pytest.fixture(scope="session")
def gateway_url(one_fake: FakeCopilot, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from started(one_fake, tmp_path_factory.mktemp("gateway"))


@pytest.fixture
def gateway(gateway_url: str, fake: FakeCopilot) -> Wire:
    """The gateway as people start it."""
    return Wire(gateway_url)


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    """A Copilot that plays what it is told, step by step."""
    with Upstream() as scripted:
        yield scripted


@pytest.fixture(scope="session")
def scripted_url(
    one_fake: FakeCopilot, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    yield from started(
        one_fake, tmp_path_factory.mktemp("scripted"),
        copilot_url=upstream.url, commit_after=0.05, heartbeat=0.05,
    )  # fmt: skip


@pytest.fixture
def scripted(scripted_url: str) -> Wire:
    """A gateway in front of the scripted upstream; it pings after a twentieth of a second."""
    return Wire(scripted_url)


Host = Callable[..., Hosted]


@pytest.fixture
def host(fake: FakeCopilot, tmp_path: Path) -> Iterator[Host]:
    """Return what starts a gateway in this process with chosen settings."""
    with ExitStack() as stack:

        def start(**settings: Any) -> Hosted:
            return stack.enter_context(Hosted(fake, tmp_path, **settings))

        yield start


@pytest.fixture
def oai(gateway: Wire) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        api_key="local", base_url=f"{gateway.url}/v1", max_retries=0, _strict_response_validation=True
    ) as client:
        yield client


@pytest.fixture
def claude(gateway: Wire) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(
        api_key="local", base_url=gateway.url, max_retries=0, _strict_response_validation=True
    ) as client:
        yield client
