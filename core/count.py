"""A local estimate of a request's input tokens, for when upstream does not count."""

import binascii
from base64 import b64decode
from collections.abc import Iterable, Iterator
from typing import Final

from core.canonical import (
    Block,
    Compaction,
    Document,
    HostedTool,
    Image,
    Message,
    Native,
    Refusal,
    Request,
    SearchResult,
    ServerToolResult,
    ServerToolUse,
    Text,
    Thinking,
    Tool,
    ToolResult,
    ToolUse,
)

PER_REQUEST: Final = 3
PER_MESSAGE: Final = 4  # role and delimiters
PER_BLOCK: Final = 2
PER_TOOL: Final = 8
ANY_TOOLS: Final = 340  # before the first tool (Anthropic's docs give 313 to 346 tokens for Claude 4)

PIXELS_PER_TOKEN: Final = 750  # Anthropic's documented rule for images
IMAGE_RANGE: Final = (85, 1600)  # the least that OpenAI charges; where Anthropic starts to scale down
PIXELS_PER_BYTE: Final = 4  # a usual JPEG, whose header does not say its size at a fixed place
PDF_BYTES_PER_TOKEN: Final = 25  # about 2000 tokens for a page of 50 KB
LEAST_PDF: Final = 1500
OPAQUE_BYTES_PER_TOKEN: Final = 4

_PNG: Final = b"\x89PNG\r\n\x1a\n"


def estimate_tokens(request: Request, family: str) -> int:
    """Return about how many input tokens `request` has; never below what its overhead alone costs (so never 0 or 1).

    family: of the model, as the catalogue names it; all that counts is whether it is a Claude.
    """
    from core.tokens import count_text  # noqa: PLC0415 - the vocabulary is heavy, and few requests need it

    texts = list(_texts(request))
    counted = count_text("\n".join(texts), "claude" if "claude" in family.lower() else "other")
    return counted + _overhead(request)


def image_tokens(image: Image) -> int:
    """Return about how many tokens an image costs, from its size in pixels where the header shows it."""
    least, most = IMAGE_RANGE
    if image.detail == "low":
        return least
    if not image.base64:
        return most
    pixels = _pixels(image.base64) or len(image.base64) * 3 // 4 * PIXELS_PER_BYTE
    return min(most, max(least, pixels // PIXELS_PER_TOKEN))


def _pixels(content: str) -> int | None:
    try:
        head = b64decode(content[:64])
    except (binascii.Error, ValueError):
        return None
    if head.startswith(_PNG):
        return int.from_bytes(head[16:20], "big") * int.from_bytes(head[20:24], "big")
    if head.startswith(b"GIF8"):
        return int.from_bytes(head[6:8], "little") * int.from_bytes(head[8:10], "little")
    return None


def _overhead(request: Request) -> int:
    """Return the tokens of everything that is no text."""
    tokens = PER_REQUEST + (ANY_TOOLS + PER_TOOL * len(request.tools) if request.tools else 0)
    for message in request.messages:
        tokens += PER_MESSAGE + sum(_block_overhead(block) for block in message.content)
    return tokens


def _block_overhead(block: Block) -> int:
    match block:
        case Image():
            return PER_BLOCK + image_tokens(block)
        case Document():
            pdf = max(LEAST_PDF, len(block.base64) * 3 // 4 // PDF_BYTES_PER_TOKEN) if block.base64 else 0
            images = sum(image_tokens(part) for part in block.content or () if isinstance(part, Image))
            return PER_BLOCK + pdf + images
        case ToolResult():
            return PER_BLOCK + sum(_block_overhead(part) for part in block.content)
        case Thinking() | Compaction():
            hidden = block.opaque.value if block.opaque is not None else ""
            shown = isinstance(block, Thinking) and block.text
            return PER_BLOCK + (0 if shown else len(hidden) // OPAQUE_BYTES_PER_TOKEN)
        case _:
            return PER_BLOCK


def _texts(request: Request) -> Iterator[str]:
    """Yield every text that the model will read."""
    for tool in request.tools:
        yield from _tool_texts(tool)
    if request.format is not None and request.format.schema is not None:
        yield _decoded(request.format.schema)
    for message in request.messages:
        yield from _message_texts(message)


def _tool_texts(tool: Tool | HostedTool) -> Iterator[str]:
    if isinstance(tool, HostedTool):
        yield _decoded(tool.raw)
        return
    yield tool.name
    yield tool.description or ""
    yield _decoded(tool.parameters if tool.grammar is None else tool.grammar)


def _message_texts(message: Message) -> Iterator[str]:
    if message.name is not None:
        yield message.name
    yield from _block_texts(message.content)


def _block_texts(blocks: Iterable[Block]) -> Iterator[str]:
    for block in blocks:
        match block:
            case Text(text=text) | Thinking(text=text) | Refusal(text=text):
                yield text
            case ToolUse(name=name, arguments=arguments) | ServerToolUse(name=name, arguments=arguments):
                yield name
                yield arguments
            case ToolResult(content=content):
                yield from _block_texts(content)
            case Document():
                yield from filter(None, (block.title, block.context, block.text))
                yield from _block_texts(block.content or ())
            case SearchResult():
                yield f"{block.source} {block.title}"
                yield from _block_texts(block.content)
            case ServerToolResult():
                yield block.text
                yield from (f"{source.url} {source.title} {source.cited_text}" for source in block.sources)
            case Native():
                yield _decoded(block.raw)
            case _:
                pass


def _decoded(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
