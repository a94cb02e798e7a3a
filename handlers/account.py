"""How the gateway's GitHub login stands, for the pages."""

from msgspec import Struct
from msgspec.structs import replace

from core.copilot.recent_quota import RecentQuota
from core.copilot.usage import Quota
from core.errors import GatewayError
from handlers.services import services


class Account(Struct, frozen=True, kw_only=True):
    """The login as it was found.

    is_there: somebody has logged in. works: Copilot takes the login. trouble: why it does not, or that the quota cannot be
    had, and why. token_ends: of Copilot's token, in unix seconds. host: where that is good.
    """

    is_there: bool = True
    works: bool = False
    trouble: str = ""
    quota: Quota | None = None
    token_ends: float | None = None
    host: str = ""


def look_at_account() -> Account:
    """Find out who is logged in, and whether Copilot takes the login."""
    given = services()
    try:
        token = given.copilot.tokens.current()
    except GatewayError as error:
        return Account(is_there=error.code != "no_login", trouble=error.message)
    found = Account(works=True, token_ends=token.expires_at, host=token.base_url)
    try:
        quota = RecentQuota(given.state, given.quota, given.now).look(given.copilot.tokens.account())
    except GatewayError as error:
        return replace(found, trouble=f"GitHub does not say what is left of the plan: {error.message}")
    return replace(found, quota=quota)


def account_in_words() -> str:
    """Say the same in a sentence or two."""
    found = look_at_account()
    if not found.is_there:
        return "Nobody is logged in to GitHub yet."
    if not found.works:
        return f"A GitHub login is kept, but it does not work: {found.trouble}"
    if found.quota is None:
        return f"Logged in to GitHub; Copilot accepts it. {found.trouble}"
    plan = f" (plan {found.quota.plan})" if found.quota.plan else ""
    return f"Logged in to GitHub as {found.quota.login or 'an unnamed account'}{plan}; Copilot accepts it."
