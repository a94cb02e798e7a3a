"""Embeddings: any client's input becomes what Copilot takes."""

from base64 import b64decode
from struct import unpack

import msgspec
import pytest

from core.embeddings import decode_reply, decode_request, encode_batches, encode_response, with_texts
from core.errors import InvalidRequestError, UpstreamProtocolError


def body(**members: object) -> bytes:
    return msgspec.json.encode({"model": "e", **members})


@pytest.mark.parametrize(
    ("asked", "sent"),
    [("text", ["text"]), (["a", "b"], ["a", "b"]), ([1, 2], [[1, 2]]), ([[1], [2, 3]], [[1], [2, 3]])],
)
def test_input_becomes_a_list(asked: object, sent: object) -> None:
    """AC-64."""
    ((batch, _),) = encode_batches(decode_request(body(input=asked, dimensions=8)), "m", None)
    assert {"model": "m", "input": sent, "dimensions": 8} == msgspec.json.decode(batch)


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"input": ""}, "$.input[0]"),
        ({"input": []}, "$.input"),
        ({"input": ["a", ""]}, "$.input[1]"),
        ({"input": ["a", 7]}, "$.input[1]"),
        ({"input": [True]}, "$.input[0]"),
        ({"input": [[-1]]}, "$.input[0]"),
        ({"input": {}}, "$.input"),
        ({"input": "x", "dimensions": 0}, "$.dimensions"),
        ({"input": "x", "encoding_format": "hex"}, "$.encoding_format"),
        ({}, "$"),
        ({"input": ["x"] * 2049}, "$.input"),
    ],
)
def test_bad_input_names_its_place(asked: dict[str, object], param: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        decode_request(body(**asked))
    assert param == caught.value.param


def test_a_deep_body_is_refused() -> None:
    with pytest.raises(InvalidRequestError):
        decode_request(b'{"model":"m","input":' + b"[" * 100_000)


MODEL = "text-embedding-3-small"
# cl100k_base of "Ein Käfig für Vögel 🦜"; the parrot takes three tokens.
CAGE = [54850, 735, 2357, 915, 7328, 650, 62997, 301, 11410, 99, 250]


def texts(asked: object, model_id: str = MODEL) -> list[object]:
    return list(with_texts(decode_request(body(input=asked)), model_id).inputs)


def test_token_ids_become_the_text_that_they_stand_for() -> None:
    """Copilot is not known to take ids."""
    assert ["Ein Käfig für Vögel 🦜", "a"] == texts([CAGE, "a"])
    assert ["Hello world"] == texts([9906, 1917])


def test_a_character_that_was_cut_at_either_end_is_left_out() -> None:
    assert ["Ein Käfig für Vögel "] == texts([CAGE[:-1]])
    assert [" Vögel"] == texts([[250, 650, 62997, 301]])


def test_token_ids_of_an_unknown_vocabulary_stay() -> None:
    assert [[9906]] == texts([9906], "metis-1024")


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ([[9906], [100_257]], "$.input[1]"),
        ([[10**30]], "$.input[0]"),
        ([[9906, 250, 9906]], "$.input[0]"),
        ([[250]], "$.input[0]"),
        ([["a"], [9906]], "$.input[0]"),
        ([[9906] * 8192], "$.input[0]"),
    ],
)
def test_ids_that_are_no_text_name_their_place(asked: object, param: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        texts(asked)
    assert param == caught.value.param


def test_batches_are_split_and_joined_in_order() -> None:
    asked = decode_request(body(input=["a", "b", "c"]))
    assert [(["a", "b"], 2), (["c"], 1)] == [
        (msgspec.json.decode(part)["input"], count) for part, count in encode_batches(asked, "m", 2)
    ]
    replies = [
        decode_reply(
            b'{"data":[{"index":1,"embedding":[2.0]},{"index":0,"embedding":[1.0]}],"usage":{"prompt_tokens":3}}',
            2,
        ),
        decode_reply(b'{"data":[{"embedding":[3.0]}],"usage":{"prompt_tokens":4}}', 1),
    ]
    answer = msgspec.json.decode(encode_response(replies, asked))
    assert [[1.0], [2.0], [3.0]] == [item["embedding"] for item in answer["data"]]
    assert {"prompt_tokens": 7, "total_tokens": 7} == answer["usage"]
    assert ("list", "e") == (answer["object"], answer["model"])


def test_base64_is_little_endian_float32() -> None:
    asked = decode_request(body(input="x", encoding_format="base64"))
    answer = msgspec.json.decode(
        encode_response([decode_reply(b'{"data":[{"embedding":[0.5,-2]}]}', 1)], asked)
    )
    assert (0.5, -2.0) == unpack("<2f", b64decode(answer["data"][0]["embedding"]))


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ("null", 0),
        ("{}", 0),
        ('{"prompt_tokens":null,"total_tokens":3}', 3),
        ('{"prompt_tokens":3.0,"total_tokens":null}', 3),
        ('{"prompt_tokens":-3,"total_tokens":1e300}', 0),
    ],
)
def test_an_odd_count_costs_no_answer(usage: str, counted: int) -> None:
    reply = decode_reply(b'{"data":[{"embedding":[1.0]}],"usage":%b}' % usage.encode(), 1)
    request = decode_request(b'{"model":"m","input":"x"}')
    answer = msgspec.json.decode(encode_response([reply], request))
    assert {"prompt_tokens": counted, "total_tokens": counted} == answer["usage"]


@pytest.mark.parametrize("reply", [b"", b"[]", b'{"data":[]}', b'{"data":[{"embedding":"x"}]}', b"\xff"])
def test_a_broken_reply_is_an_upstream_error(reply: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        decode_reply(reply, 1)
