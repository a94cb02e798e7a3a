"""GET /: what this is; for its owner, how it stands and how to point a client at it."""

from typing import Final

from flask import Blueprint, Response, request

from core.errors import GatewayError
from core.model import Model
from core.ports import StoreError
from handlers.account import look_at_account
from handlers.browser import is_local, session
from handlers.pages import page
from handlers.pages.snippets import KEY_VARIABLE, snippets
from handlers.services import services
from handlers.sign_in import about

bp = Blueprint("status", __name__)

KINDS: Final = ("chat", "embeddings")


@bp.get("/")
def show() -> Response:
    """Say no more than that this is a gateway to who has no session; a HEAD is a client's question whether it runs."""
    given = services()
    opened = session()
    if request.method == "HEAD" or (given.keys is not None and opened is None):
        return page("welcome.html")
    models, trouble = _models()
    base = base_url()
    return page(
        "status.html",
        refresh=0,
        base=base,
        models=[model for model in models if model.kind in KINDS],
        trouble=trouble,
        account=look_at_account(),
        snippets=snippets(base, models, given.settings.small_model, keyed=given.keys is not None),
        keyed=given.keys is not None,
        key_variable=KEY_VARIABLE,
        now=given.now(),
        waiting=len(given.approvals.pending()) if given.approvals is not None else 0,
        **(about(opened) if opened else {}),
    )


@bp.errorhandler(StoreError)
def on_store_error(error: StoreError) -> Response:
    """Say what is wrong with a store."""
    return page("welcome.html", 503, error=str(error))


def base_url() -> str:
    """Return the gateway's address as the browser reached it.

    Beyond this machine a browser keeps our session over https alone, whatever stands in between.
    """
    scheme = "http" if is_local() else "https"
    return f"{scheme}://{request.host}{request.script_root}"


def _models() -> tuple[tuple[Model, ...], str]:
    """Return the models, or why there are none."""
    try:
        return services().engine.listed(), ""
    except GatewayError as error:
        return (), f"Copilot does not tell its models: {error.message}"
