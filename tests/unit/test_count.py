"""The local estimate of a prompt's size."""

import struct
from base64 import b64encode

import pytest

from core.canonical import (
    Document,
    HostedTool,
    Image,
    Message,
    Native,
    Opaque,
    Request,
    Text,
    Thinking,
    Tool,
    ToolResult,
    ToolUse,
)
from core.count import estimate_tokens, image_tokens


def request(*content: object, **members: object) -> Request:
    return Request(model="m", messages=(Message("user", content),), **members)  # type: ignore[arg-type]


def png(width: int, height: int) -> str:
    return b64encode(
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height) + b"\0" * 40
    ).decode()


def test_an_empty_request_is_never_0_or_1() -> None:
    """AC-52."""
    assert estimate_tokens(Request(model="m", messages=()), "claude") > 1
    assert estimate_tokens(request(Text("")), "gpt-5") > 1


def test_more_text_is_more_tokens_and_claude_counts_more() -> None:
    """AC-52."""
    short, long = request(Text("one word")), request(Text("one word " * 100))
    assert (
        estimate_tokens(short, "gpt-5")
        < estimate_tokens(long, "gpt-5")
        < estimate_tokens(long, "claude-sonnet-4.6")
    )


@pytest.mark.parametrize(
    ("image", "tokens"),
    [
        (Image("image/png", png(750, 200)), 200),
        (Image("image/png", png(4000, 4000)), 1600),
        (Image("image/png", png(8, 8)), 85),
        (Image("image/gif", b64encode(b"GIF89a" + struct.pack("<HH", 300, 500) + b"\0" * 50).decode()), 200),
        (Image("image/jpeg", "/9j/" + "A" * 60_000), 240),
        (Image("image/png", "!!!"), 85),
        (Image(url="https://a.b"), 1600),
        (Image(url="https://a.b", detail="low"), 85),
    ],
)
def test_images_cost_their_pixels(image: Image, tokens: int) -> None:
    assert image_tokens(image) == tokens


def test_everything_that_the_model_reads_counts() -> None:
    words = "many different words " * 20
    base = estimate_tokens(request(), "x")
    for grown in (
        request(tools=(Tool(name="x", description=words),)),
        request(tools=(HostedTool("messages", "x", words.encode()),)),
        request(ToolUse("c", "x", words)),
        request(ToolResult("c", (Text(words), Image(url="u")))),
        request(Document(text=words, title="t")),
        request(Document(base64="A" * 100_000)),
        request(Thinking("", Opaque("messages", "s" * 400))),
        request(Native("messages", "x", words.encode())),
    ):
        assert estimate_tokens(grown, "x") > base + 50
