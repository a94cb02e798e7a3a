"""What an upstream lacks the gateway does: stop sequences, and tool names of any length."""

import anthropic
import openai
import pytest

LONG = "lookup_" + "very_" * 20 + "long_name"


@pytest.mark.parametrize("model", ["gpt-5.5", "claude-sonnet-4.6"])
def test_a_stop_sequence_ends_the_answer(claude: anthropic.Anthropic, model: str) -> None:
    """AC-25: told to an upstream that knows stop sequences, cut here for one that does not."""
    ask = {
        "model": model,
        "max_tokens": 500,
        "stop_sequences": ["END"],
        "messages": [{"role": "user", "content": "[[say:one two END three four]]"}],
    }
    complete = claude.messages.create(**ask)
    assert ("one two ", "stop_sequence", "END") == (
        complete.content[0].text,
        complete.stop_reason,
        complete.stop_sequence,
    )
    with claude.messages.stream(**ask) as stream:
        streamed = stream.get_final_message()
    assert ("one two ", "stop_sequence", "END") == (
        streamed.content[0].text,
        streamed.stop_reason,
        streamed.stop_sequence,
    )


@pytest.mark.parametrize("model", ["gpt-5.5", "gpt-4.1", "claude-sonnet-4.6"])
def test_a_long_tool_name_comes_back_whole(oai: openai.OpenAI, model: str) -> None:
    """AC-61."""
    tool = {
        "type": "function",
        "name": LONG,
        "parameters": {"type": "object", "properties": {}},
        "strict": False,
    }
    ask = {"model": model, "input": f"[[tool:{LONG} {{}}]]", "tools": [tool]}
    reply = oai.responses.create(**ask)
    assert [LONG] == [item.name for item in reply.output if item.type == "function_call"]
