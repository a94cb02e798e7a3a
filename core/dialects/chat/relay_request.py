"""Pass a chat client's body through to Copilot's chat."""

import msgspec
from msgspec import Raw

from core.dialect import Encoded, Target
from core.dialects.chat.history import repair_messages
from core.dialects.chat.reading import read
from core.dialects.chat.repairs import REPAIRS, Draft
from core.dialects.chat.schema import encode

_members = msgspec.json.Decoder(dict[str, Raw])


def relay_request(body: bytes, target: Target) -> Encoded:
    """Return the same bytes object when nothing has to change, else the body with only those members new.

    Raises `InvalidRequestError` and `UnsupportedFeatureError` for what would only come back as a worse error.
    """
    draft = Draft(read(_members, body), target)
    for repair in REPAIRS:
        repair(draft)
    repair_messages(draft)
    return Encoded(encode(draft.members) if draft.changed else body, draft.notes.losses, draft.notes.repairs)
