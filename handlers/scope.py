"""What the caller's key may use: checked where the surface, and later where the model is known."""

from core.access import scope
from core.copilot.auto_session import AUTO
from core.exchange import Exchange
from handlers.services import Services

STORED = "/responses/"


def check_surface(asked: Exchange) -> None:
    """Refuse a surface that the key may not use, also where it is only asked for what it stored. Raises GatewayError."""
    surface = asked.surface or ("responses" if STORED in asked.route else "")
    if surface:
        scope.check_surface(asked.caller, surface)


def check_model(asked: Exchange, given: Services) -> None:
    """Refuse a model that the key may not use. Raises GatewayError `permission`."""
    meant = given.settings.aliases.get(asked.requested, asked.requested).lower()
    scope.check_model(asked.caller, asked.model, AUTO if meant == AUTO else "")
