"""Images that upstream cannot show a model are refused here, with the path of the bad member."""

import json
from typing import Any

import pytest

from core.errors import GatewayError, InvalidRequestError, UnsupportedFeatureError
from core.images import check_images
from core.model import Model

SEES = Model(id="m", vision=True, max_image_bytes=6, image_types=("image/png", "image/jpeg"))
BLIND = Model(id="kimi-k3", vision=False)
PNG = "data:image/png;base64,aGk="


def chat(image: Any) -> tuple[dict[str, Any], str]:
    content = [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": image}]
    return {"messages": [{"role": "user", "content": content}]}, "$.messages[0].content[1].image_url"


def responses(image: Any) -> tuple[dict[str, Any], str]:
    part = {"type": "input_image", "image_url": image}
    turns = [
        {"role": "user", "content": "x"},
        {"type": "function_call_output", "call_id": "c", "output": [part]},
    ]
    return {"input": turns}, "$.input[1].output[0].image_url"


def messages(source: Any) -> tuple[dict[str, Any], str]:
    result = {"type": "tool_result", "tool_use_id": "c", "content": [{"type": "image", "source": source}]}
    turns = [{"role": "user", "content": [result]}]
    return {"messages": turns}, "$.messages[0].content[0].content[0].source"


def refused(body: dict[str, Any], model: Model = SEES) -> GatewayError:
    with pytest.raises((InvalidRequestError, UnsupportedFeatureError)) as caught:
        check_images(json.dumps(body).encode(), model)
    return caught.value


GOOD = [
    chat({"url": PNG}), chat({"url": PNG.replace("png", "jpg")}), chat({"url": "data:;base64,aGk="}), chat(PNG),
    chat({"url": "https://example.com/a.png"}), chat({"url": "http://93.184.216.34/a.png"}), responses(PNG),
    messages({"type": "base64", "media_type": "image/png", "data": "aGk="}), messages({"type": "file", "file_id": "f"}),
]  # fmt: skip


@pytest.mark.parametrize("body", [body for body, _ in GOOD])
def test_images_that_can_be_shown_pass(body: dict[str, Any]) -> None:
    check_images(json.dumps(body).encode(), SEES)
    check_images(json.dumps(body).encode(), Model(id="nothing-declared"))


BAD_URLS: list[Any] = [
    None, "", 7, [], "x", "file:///etc/passwd", "/home/me/a.png", "gs://bucket/a.png", "data:image/png,aGk=", "data:",
    "data:image/png;base64,", "data:image/png;base64,a", "data:image/png;base64,aG k=", "data:image/png;base64,é",
    "data:image/tiff;base64,aGk=", "data:application/pdf;base64,aGk=", "data:image/png;base64,aGFoYWhhaGE=",
    "http://localhost/a.png", "http://127.0.0.1:8000/a.png", "http://[::1]/a.png", "http://10.0.0.1/a.png",
    "https://printer.local/a", "https://intranet/a.png", "https://[broken/a.png", "http://169.254.169.254/latest",
]  # fmt: skip


@pytest.mark.parametrize("url", BAD_URLS)
def test_bad_image_names_its_place_in_every_dialect(url: Any) -> None:
    """Reported problem 58."""
    for body, path in (chat({"url": url}), responses(url), messages({"type": "url", "url": url})):
        error = refused(body)
        member = path if body.get("input") else f"{path}.url"
        assert (400, member) == (error.status, error.param)
        assert member in error.message


@pytest.mark.parametrize(
    ("source", "member"),
    [
        ({"type": "base64", "media_type": "image/png"}, ""),
        ({"type": "base64", "media_type": None, "data": "aGk="}, ""),
        ({"type": "base64", "media_type": "image/png", "data": ""}, ".data"),
        ({"type": "base64", "media_type": "image/png", "data": PNG}, ".data"),
        ({"type": "base64", "media_type": "image/bmp", "data": "aGk="}, ".data"),
    ],
)
def test_bad_source_names_its_place(source: Any, member: str) -> None:
    """Reported problem 58."""
    body, path = messages(source)
    assert path + member == refused(body).param


def test_an_image_that_is_too_large_is_refused_with_the_numbers() -> None:
    """Reported problem 58."""
    body, _ = chat({"url": "data:image/png;base64,aGFoYWhhaA=="})
    assert "7 bytes > 6 bytes" in refused(body).message


def test_a_model_without_eyes_says_so() -> None:
    body, path = chat({"url": PNG})
    assert ("$.messages[0].content[1]", "unsupported_feature") == (
        refused(body, BLIND).param,
        refused(body, BLIND).code,
    )
    assert path.startswith("$.messages[0].content[1]")


def test_words_and_tools_about_images_are_no_images() -> None:
    schema = {"type": "object", "properties": {"image_url": {"type": "image"}}}
    call = {"type": "tool_use", "input": {"type": "image", "source": None}}
    body = {
        "tools": [{"name": "image", "input_schema": schema}],
        "messages": [
            {"role": "user", "content": '"image_url"'},
            {"role": "assistant", "content": [call, None, 7]},
        ],
    }
    check_images(json.dumps(body).encode(), BLIND)


@pytest.mark.parametrize(
    "body", [b'"image"', b'["image"]', b'{"messages":"image"', b'{"messages":{"content":"image"}}']
)
def test_what_is_no_request_is_left_to_the_dialect(body: bytes) -> None:
    check_images(body, BLIND)
