"""One model call to upstream that heals: what upstream refuses is taken out, and the call made once more.

Only a refusal is healed, so nothing of a reply can have reached the client: an error after the head of a reply is
raised by the reply itself. The second refusal is final.
"""

import logging
from collections.abc import Callable

from core.call import Call
from core.copilot.client import CopilotClient, UpstreamReply
from core.errors import GatewayError

_log = logging.getLogger("gateway")


class HealingCall:
    """A call under way. `call` is what was last sent: after a repair its repairs and losses say so."""

    def __init__(
        self, copilot: CopilotClient, call: Call, *, wanted: Callable[[], None] | None = None
    ) -> None:
        self.call = call
        self._copilot = copilot
        self._wanted = wanted
        self._pending = copilot.begin(call.outgoing, wanted=wanted)
        self._healed = False

    def wait(self, timeout: float) -> UpstreamReply | None:
        """Wait for up to `timeout` silent seconds; None while upstream is silent. Raises `GatewayError`."""
        try:
            return self._pending.wait(timeout)
        except GatewayError as error:
            if not self._heal(error):
                raise
        return self._pending.wait(timeout)

    def close(self) -> None:
        """Give up; upstream sees the connection end."""
        self._pending.close()

    def _heal(self, error: GatewayError) -> bool:
        """Begin again with what upstream refused taken out; return whether there is such a repair."""
        healed = None if self._healed else self.call.healed(error)
        if healed is None:
            return False
        _log.info(
            "upstream.healed repair=%s model=%s id=%s",
            healed.repairs[0],
            healed.lane.model.id,
            error.upstream_request_id,
        )
        self._healed = True
        self.call = healed
        self._pending = self._copilot.begin(healed.outgoing, wanted=self._wanted)
        return True
