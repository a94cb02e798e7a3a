"""What Lambda calls where every endpoint is a function of its own: `infra.aws.endpoints.messages`, and so on."""

from typing import Final

from infra.aws.app import Handler, application, configure_logging, handler_for

# `health` answers for every path that no other function has; it knows no endpoint but its own, so that is a 404.
NAMES: Final = frozenset(
    {
        "chat_completions",
        "count_tokens",
        "dashboard",
        "embeddings",
        "health",
        "login",
        "messages",
        "models",
        "responses",
        "usage",
    }
)


def __getattr__(name: str) -> Handler:
    """Build the handler of one endpoint when Lambda asks for it by name, during init."""
    if name not in NAMES:
        raise AttributeError(name)
    configure_logging()
    return handler_for(application(only=name))
