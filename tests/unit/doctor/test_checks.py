"""The order of the checks, the remedies, and what answers from the way are taken for."""

import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import get_args

import pytest

from core.copilot.faults import Obstacle, TransportError
from core.errors import GatewayError
from core.model import Model, Prices
from core.settings import Settings
from infra.doctor.account import multipliers
from infra.doctor.cheapest import cheapest
from infra.doctor.findings import Check, Dubious, Finding, Unasked, Wrong, examine, exit_code
from infra.doctor.machine import Machine
from infra.doctor.network import Network
from infra.doctor.remedies import BY_CODE, BY_OBSTACLE, from_fault, from_refusal
from tests.unit.copilot.doubles import answers, scripted, whole


def raising(error: Exception) -> Callable[[], str]:
    def make() -> str:
        raise error

    return make


def test_what_depends_on_a_failure_is_not_checked_and_says_why() -> None:
    asked: list[str] = []
    checks = [
        Check("a", "doing a", (), raising(Wrong("a is broken", "mend it", 3))),
        Check("b", "doing b", ("a",), lambda: "never made"),
        Check("c", "doing c", ("b",), lambda: "never made"),
        Check("d", "doing d", (), raising(Dubious("d is odd", "look"))),
        Check("e", "doing e", ("d",), lambda: "well"),
        Check("f", "doing f", ("a", "e"), lambda: "never made"),
        Check("g", "doing g", (), raising(Unasked("nothing there"))),
        Check("h", "doing h", ("g",), lambda: "well"),
    ]
    found = list(examine(checks, asked.append))
    assert [
        Finding("a", "wrong", "a is broken", "mend it", 3),
        Finding("b", "skipped", "not checked, because of: a", code=0),
        Finding("c", "skipped", "not checked, because of: a", code=0),
        Finding("d", "warning", "d is odd", "look", 0),
        Finding("e", "ok", "well", code=0),
        Finding("f", "skipped", "not checked, because of: a", code=0),
        Finding("g", "skipped", "nothing there", code=0),
        Finding("h", "ok", "well", code=0),
    ] == found
    assert ["doing a", "doing d", "doing e", "doing g", "doing h"] == asked
    assert exit_code(found) == 3


@pytest.mark.parametrize(
    ("codes", "expected"), [((), 0), ((3,), 3), ((4, 4), 4), ((3, 4), 1), ((1, 3), 1), ((1,), 1)]
)
def test_the_exit_code_is_that_of_the_one_thing_that_is_wrong(codes: tuple[int, ...], expected: int) -> None:
    assert expected == exit_code([Finding("x", "wrong", "", code=code) for code in codes])


def test_a_check_with_a_defect_is_a_finding_and_no_traceback() -> None:
    (found,) = examine([Check("a", "", (), raising(RuntimeError("two\nlines")))], lambda _: None)
    assert ("wrong", "this check failed itself (RuntimeError: two lines)") == (found.mark, found.told)


def test_every_obstacle_has_a_remedy() -> None:
    assert set(get_args(Obstacle)) == BY_OBSTACLE.keys()
    for obstacle, remedy in BY_OBSTACLE.items():
        found = from_fault(TransportError("connect", "no", obstacle))
        assert ("no.", remedy, 1 if obstacle in {"bundle", "proxy_url"} else 4) == (
            found.told,
            found.remedy,
            found.code,
        )


@pytest.mark.parametrize("code", sorted(BY_CODE))
def test_every_reason_of_github_has_a_remedy(code: str) -> None:
    found = from_refusal(GatewayError("No.", kind="permission", code=code))
    assert (BY_CODE[code], 1) == (found.remedy, found.code)
    assert found.remedy


def model(name: str, price: float = 100.0, **more: object) -> Model:
    return Model(id=name, prices=Prices(input=price, output=price), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("models", "free", "expected"),
    [
        ([model("dear", 500.0), model("cheap", 5.0)], {}, "cheap"),
        ([model("dear", 500.0), model("cheap", 5.0)], {"dear": 0.0, "cheap": 0.33}, "dear"),
        ([model("claude"), model("gpt-4.1"), model("gpt-5-mini")], {}, "gpt-5-mini"),
        ([Model(id="unpriced"), model("priced")], {}, "priced"),
        ([model("closed", 1.0, policy="unconfigured"), model("open")], {}, "open"),
        ([model("ada", 1.0, kind="embeddings", dialects=()), model("open")], {}, "open"),
        ([model("closed", policy="disabled")], {}, None),
        ([], {}, None),
    ],
)
def test_the_cheapest_model_that_may_be_used_is_asked(
    models: list[Model], free: dict[str, float], expected: str | None
) -> None:
    found = cheapest(models, free)
    assert expected == (found and found.id)


def test_what_a_request_costs_is_read_where_it_is_stated() -> None:
    listed = (
        b'{"data":[{"id":"a","billing":{"multiplier":0}},{"id":"b","billing":{"multiplier":0.33}},'
        b'{"id":"c"},{"id":4},{"id":"d","billing":{}},{"id":"e","billing":{"multiplier":"x"}},7]}'
    )
    assert {"a": 0.0, "b": 0.33} == multipliers(listed)


def network(url: str, **environ: str) -> Network:
    return Network(lambda: Settings(github_api_url=url, github_url=url), environ)


def at(url: str, name: str, **environ: str) -> Callable[[], str]:
    return next(check.make for check in network(url, **environ).checks() if check.name == name)


PAGE = b"<html><head><title>Access denied by Example Filter</title></head></html>"


@pytest.mark.parametrize(
    ("reply", "told", "remedy"),
    [
        (whole(b"no", "451 Unavailable"), "not served here (status 451)", "GitHub does not serve Copilot where you"),
        (whole(PAGE, "403 Forbidden"), "it answers with a web page: Access denied by Example Filter", "ask whoever"),
        (whole(b"", "302 Found", "location: http://portal.example/login"), "sends to portal.example", "Log in to this"),
    ],
)  # fmt: skip
def test_an_answer_that_is_not_github_s_is_told(reply: bytes, told: str, remedy: str) -> None:
    with scripted(answers(reply)) as url, pytest.raises(Wrong) as caught:
        at(url, "github api")()
    assert (True, True, 4) == (told in caught.value.told, remedy in caught.value.remedy, caught.value.code)


@pytest.mark.parametrize(
    "reply",
    [
        whole(b"{}"),
        whole(b'{"message":"API rate limit exceeded"}', "403 Forbidden", "content-type: application/json"),
        whole(b"", "302 Found", "location: /login"),
        whole(b"not found", "404 Not Found"),
    ],
)
def test_an_answer_of_any_other_kind_shows_that_the_way_is_open(reply: bytes) -> None:
    with scripted(answers(reply)) as url:
        assert "answers in" in at(url, "github")()


def test_a_server_in_trouble_is_a_warning() -> None:
    with scripted(answers(whole(b"unicorn", "503 Down"))) as url, pytest.raises(Dubious) as caught:
        at(url, "github")()
    assert "githubstatus" in caught.value.remedy


@pytest.mark.parametrize(("status", "told"), [("466 Old", "client version"), ("451 No", "not served here")])
def test_copilot_s_own_host_is_judged_too(status: str, told: str) -> None:
    with scripted(answers(whole(b"no", status))) as url:
        way = network(url)
        with pytest.raises(Wrong) as caught:
            way.reach_copilot(url)
        way.close()
    assert told in caught.value.told


@pytest.mark.parametrize(("skew", "word"), [(3600.0, "behind"), (-3600.0, "ahead")])
def test_a_clock_that_is_wrong_is_told_with_its_way(skew: float, word: str) -> None:
    date = f"date: {formatdate(time.time() + skew, usegmt=True)}"
    with scripted(answers(whole(b"{}", "200 OK", date))) as url:
        way = network(url)
        way.reach(url)
    with pytest.raises(Wrong, match=word) as caught:
        way.clock()
    assert "Set it" in caught.value.remedy


@pytest.mark.parametrize("date", ["", "nonsense", "Thu, 99 Foo 2026 99:99:99 GMT"])
def test_a_server_that_tells_no_time_says_nothing_of_the_clock(date: str) -> None:
    with scripted(answers(whole(b"{}", "200 OK", f"date: {date}"))) as url:
        way = network(url)
        way.reach(url)
    with pytest.raises(Unasked):
        way.clock()


def test_a_right_clock_is_right() -> None:
    with scripted(answers(whole(b"{}", "200 OK", f"date: {formatdate(usegmt=True)}"))) as url:
        way = network(url)
        way.reach(url)
    assert way.clock() == "right."


def test_the_proxy_is_named_without_its_password() -> None:
    told = at("http://127.0.0.1", "proxy", HTTPS_PROXY="http://me:hush@proxy.example:3128")()
    assert told == "HTTPS_PROXY: proxy.example:3128, with a user and a password."


def test_a_data_directory_that_is_no_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    machine = Machine({}, {"COPILOT_GATEWAY_DATA_DIR": str(tmp_path / "file" / "data")})
    (found,) = examine([Check("directory", "", (), machine.directory)], lambda _: None)
    assert (found.mark, found.code) in {("wrong", 1), ("ok", 0)}
