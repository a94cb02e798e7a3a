"""A stream's bytes as whole events, each with the line ends that it came with."""

import re
from typing import Final

# A blank line, whatever the line ends are.
BLANK: Final = re.compile(rb"(?:\r\n|\r(?!\n)|(?<!\r)\n){2}")


def cut(buffer: bytes) -> tuple[list[bytes], bytes]:
    """Cut into whole events, each with its blank line, and the rest."""
    if b"\r" not in buffer:
        *whole, rest = buffer.split(b"\n\n")
        return [block + b"\n\n" for block in whole if block.strip(b"\n")], rest
    blocks: list[bytes] = []
    begin = 0
    held = len(buffer) - 1 if buffer.endswith(b"\r") else len(buffer)  # a CR may be half of a line end
    for blank in BLANK.finditer(buffer, 0, held):
        blocks.append(buffer[begin : blank.end()])
        begin = blank.end()
    return [block for block in blocks if block.strip(b"\r\n")], buffer[begin:]
