"""The catalogue: realistic entries, one for every way a model can be reached, and two broken ones."""

import copy
from typing import Any, Final

from tests.emulators.copilot.shapes import Obj, is_array, members

CHAT: Final = "/chat/completions"
RESPONSES: Final = "/responses"
MESSAGES: Final = "/v1/messages"
VENDORS: Final = {
    "claude": "Anthropic",
    "gemini": "Google",
    "grok": "xAI",
    "kimi": "Moonshot AI",
    "gpt": "OpenAI",
}
EFFORTS: Final = ["low", "medium", "high"]
PRICES: Final = {"input_price": 300, "output_price": 1500, "cache_price": 30, "cache_write_price": 375}
VISION: Final[Obj] = {
    "max_prompt_image_size": 3_145_728,
    "max_prompt_images": 5,
    "supported_media_types": ["image/jpeg", "image/png", "image/webp", "image/gif"],
}


def entry(model_id: str, endpoints: list[str] | None, limits: tuple[int, int, int], **supports: Any) -> Obj:
    """Compose a chat model's entry; limits are (window, prompt, output) in tokens, None leaves endpoints out."""
    window, prompt, output = limits
    vision = bool(supports.pop("vision", True))
    model = _shell(model_id)
    model["capabilities"] = {
        "object": "model_capabilities",
        "type": "chat",
        "family": model_id,
        "tokenizer": "o200k_base",
        "limits": {
            "max_context_window_tokens": window,
            "max_prompt_tokens": prompt,
            "max_output_tokens": output,
            **({"vision": dict(VISION)} if vision else {}),
            **({"max_non_streaming_output_tokens": 16_000} if model_id.startswith("claude") else {}),
        },
        "supports": {
            "streaming": True, "tool_calls": True, "parallel_tool_calls": True, "structured_outputs": True,
            **({"vision": True} if vision else {}), **supports,
        },
    }  # fmt: skip
    if endpoints is not None:
        model["supported_endpoints"] = endpoints
    return model


def _shell(model_id: str) -> Obj:
    vendor = next((name for prefix, name in VENDORS.items() if model_id.startswith(prefix)), "OpenAI")
    return {
        "id": model_id,
        "object": "model",
        "name": model_id.replace("-", " ").title().replace("Gpt ", "GPT-"),
        "vendor": vendor,
        "version": model_id,
        "preview": False,
        "is_chat_default": False,
        "is_chat_fallback": False,
        "model_picker_enabled": True,
        "model_picker_category": "versatile",
        "model_picker_price_category": "medium",
        "policy": {"state": "enabled", "terms": "Terms of the model's vendor apply."},
        "billing": {
            "is_premium": True,
            "multiplier": 1,
            "restricted_to": ["pro", "pro_plus", "business", "enterprise", "max"],
            "token_prices": {"batch_size": 1_000_000, "default": {**PRICES, "context_max": 200_000}},
        },
    }


def embedding(model_id: str) -> Obj:
    """Compose an embedding model's entry."""
    model = _shell(model_id)
    model["model_picker_enabled"] = False
    del model["policy"]
    model["capabilities"] = {
        "object": "model_capabilities",
        "type": "embeddings",
        "family": model_id,
        "tokenizer": "cl100k_base",
        "limits": {"max_inputs": 512},
        "supports": {"dimensions": True},
    }
    return model


def _claudes() -> list[Obj]:
    both = [MESSAGES, CHAT]
    budget = {"min_thinking_budget": 1024, "max_thinking_budget": 32_000}
    deep = [*EFFORTS, "max"]
    return [
        entry(
            "claude-sonnet-4.6", both, (264_000, 200_000, 64_000), adaptive_thinking=True, reasoning_effort=deep,
            **budget,
        ),
        entry(
            "claude-opus-4.8", both, (264_000, 200_000, 64_000), adaptive_thinking=True,
            reasoning_effort=[*EFFORTS, "xhigh", "max"],
        ),
        entry("claude-sonnet-5", both, (200_000, 168_000, 64_000), adaptive_thinking=True, reasoning_effort=deep,
              **budget),
        entry("claude-haiku-4.5", [CHAT], (144_000, 128_000, 16_000), **budget),
    ]  # fmt: skip


def _gpts() -> list[Obj]:
    gpt5 = ["minimal", *EFFORTS]
    mini = entry("gpt-5-mini", [CHAT, RESPONSES], (264_000, 128_000, 64_000), reasoning_effort=gpt5)
    mini["is_chat_default"] = True
    preview = entry(
        "gpt-6-astra", [RESPONSES], (1_050_000, 922_000, 128_000), reasoning_effort=["none", *EFFORTS]
    )
    preview["preview"] = True
    return [
        entry("gpt-4.1", [CHAT], (128_000, 128_000, 16_384)),
        mini,
        entry(
            "gpt-5.4", [CHAT, RESPONSES], (400_000, 272_000, 128_000), reasoning_effort=["none", *EFFORTS, "xhigh"]
        ),
        entry(
            "gpt-5.5", [RESPONSES, "ws:/responses"], (400_000, 272_000, 128_000),
            reasoning_effort=["none", *EFFORTS, "xhigh"],
        ),
        entry("gpt-4o", None, (128_000, 64_000, 4_096)),
        preview,
    ]  # fmt: skip


def _others() -> list[Obj]:
    unconfigured = entry("grok-4.6", [CHAT], (500_000, 500_000, 64_000), reasoning_effort=EFFORTS)
    unconfigured["policy"] = {"state": "unconfigured", "terms": "Accept the vendor's terms first."}
    return [
        entry("gemini-3.8-flash", [CHAT], (1_000_000, 936_000, 64_000), reasoning_effort=EFFORTS),
        entry("kimi-k3", [CHAT], (1_048_576, 917_504, 131_072), vision=False),
        entry("grok-4.5", [CHAT], (500_000, 500_000, 64_000), vision=False, reasoning_effort=EFFORTS),
        unconfigured,
    ]


def catalogue() -> list[Obj]:
    """Return a fresh copy of the default catalogue."""
    broken: list[Obj] = [
        {"id": 42, "name": ["not", "a", "name"], "capabilities": "broken", "supported_endpoints": 7},
        {"object": "model", "name": "An entry without an id"},
    ]
    embeddings = [embedding("text-embedding-3-small"), embedding("text-embedding-ada-002")]
    return copy.deepcopy([*_claudes(), *_gpts(), broken[0], *_others(), broken[1], *embeddings])


def limit(model: Obj, name: str, default: int = 0) -> int:
    """Return one of a model's limits in tokens (or inputs)."""
    value = members(members(model.get("capabilities")).get("limits")).get(name)
    return value if isinstance(value, int) else default


def supports(model: Obj, name: str) -> Any:
    """Return one of a model's declared abilities, or None."""
    return members(members(model.get("capabilities")).get("supports")).get(name)


def kind(model: Obj) -> str:
    """Return `chat` or `embeddings`."""
    return str(members(model.get("capabilities")).get("type", "chat"))


def endpoints(model: Obj) -> list[str]:
    """Return the paths a model answers on; what declares none answers on chat only."""
    declared = model.get("supported_endpoints")
    if is_array(declared):
        return [str(path) for path in declared]
    return ["/embeddings"] if kind(model) == "embeddings" else [CHAT]


def is_claude(model: Obj) -> bool:
    """Say whether Anthropic made it."""
    return model.get("vendor") == "Anthropic"


def wants_completion_limit(model_id: str) -> bool:
    """Say whether the model takes `max_completion_tokens` rather than `max_tokens`."""
    return model_id.startswith(("gpt-5", "gpt-6", "o1", "o3", "o4"))


def refuses_prefill(model_id: str) -> bool:
    """Say whether the model refuses a conversation that ends with an assistant turn."""
    return model_id.startswith("claude-") and model_id != "claude-haiku-4.5"
