"""One AWS service through boto3: imported and made at the first call, its errors told with a remedy."""

import re
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from core.ports import StoreError

CONNECT_TIMEOUT: Final = 2.0  # seconds; the service is in the same region
READ_TIMEOUT: Final = 3.0  # either service answers within a tenth of one
# botocore's standard mode, with pauses of at most 1, 2 and 4 seconds: in all a caller waits for 19 seconds at most.
ATTEMPTS: Final = 4

_NO_BOTO3: Final = (
    "boto3 is not installed. Run `pip install boto3`, or install Copilot Gateway with its extra `aws`."
)
_CREDENTIALS: Final = "AWS does not accept the credentials. Renew them, and check AWS_PROFILE or AWS_ACCESS_KEY_ID and the clock"
_THROTTLED: Final = "is asked for more than AWS allows at the moment. Try again in a few seconds"
_FAILS: Final = "cannot be used: AWS itself fails at the moment. Try again in a minute"
_REMEDIES: Final[Mapping[str, str]] = {
    "AccessDenied": "may not be used: its role or user lacks the permission {permission}. Add it and deploy again",
    "ExpiredToken": "cannot be used. " + _CREDENTIALS,
    "IncompleteSignature": "cannot be used. " + _CREDENTIALS,
    "InvalidClientTokenId": "cannot be used. " + _CREDENTIALS,
    "InvalidSignature": "cannot be used. " + _CREDENTIALS,
    "MissingAuthenticationToken": "cannot be used. " + _CREDENTIALS,
    "UnrecognizedClient": "cannot be used. " + _CREDENTIALS,
    "ProvisionedThroughputExceeded": _THROTTLED,
    "RequestLimitExceeded": _THROTTLED,
    "Throttling": _THROTTLED,
    "ThrottlingError": _THROTTLED,
    "TooManyRequests": _THROTTLED,
    "RequestThrottled": _THROTTLED,
    "ThrottledException": _THROTTLED,
    "ResourceNotFound": "does not exist in this region. Check the name and AWS_REGION; a stage that has lost it must be "
    "removed and deployed anew",
}
_SERVER_ERROR: Final = 500
# What AWS's words may name and clients need not know: resources by their full names, and the account's number.
_INTERNAL: Final = re.compile(r"arn:aws[a-z-]*:[^\s\"',;)]+|\b[0-9]{12}\b")


class Refusal(Exception):  # noqa: N818 - an answer, which the stores may expect
    """AWS answered a call with an error.

    code: AWS's name of it, without "Exception" at its end. item: what a failed condition of DynamoDB found, else {}.
    is_failure: whether the fault is AWS's own.
    """

    def __init__(
        self, code: str, message: str, item: dict[str, Any], permission: str, *, is_failure: bool = False
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.item, self.permission = code, message, item, permission
        self.is_failure = is_failure


class AwsService:
    """Calls by their boto3 names, as `call("get_item", Key=...)`.

    name: the prefix of its permissions (`dynamodb`). make_client: returns boto3's client; not called before the first
    call. Several threads may call at once.
    """

    def __init__(self, name: str, make_client: Callable[[], Any]) -> None:
        self._name = name
        self._make_client = make_client
        self._lock = threading.Lock()
        self._client: Any = None

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Return AWS's answer. Raises Refusal for an error that AWS answers with, StoreError when none comes."""
        try:
            client = self._connected()
            from botocore import exceptions  # type: ignore[import-untyped]  # noqa: PLC0415 - comes with the client
        except ImportError as error:
            raise StoreError(_NO_BOTO3) from error
        known: Any = exceptions
        try:
            return dict(getattr(client, operation)(**arguments))
        except known.ClientError as error:
            raise _refusal(error.response, f"{self._name}:{_action(operation)}") from error
        except known.BotoCoreError as error:
            raise StoreError(_unreachable(self._name, error)) from error
        except Exception as error:
            # An answer that botocore cannot read is told by whatever its parsers raise.
            raise StoreError(
                f"AWS ({self._name}) answered what cannot be read. Try again; if it lasts, look at what stands between."
            ) from error

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = self._make()
            return self._client

    def _make(self) -> Any:
        try:
            return self._make_client()
        except ImportError:
            raise
        except Exception as error:
            # botocore's own kinds cannot be named before it is imported: no region, an unknown profile, a bad endpoint.
            raise StoreError(_unreachable(self._name, error)) from error


def make_client(name: str) -> Any:
    """Return boto3's client of a service; region, credentials and endpoint are those of the environment."""
    import boto3  # type: ignore[import-untyped]  # noqa: PLC0415 - a quarter of a second, which only the first call needs
    from botocore.config import Config  # type: ignore[import-untyped]  # noqa: PLC0415

    library: Any = boto3
    return library.session.Session().client(
        name,
        config=Config(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        ),
    )


def store_error(refusal: Refusal, what: str) -> StoreError:
    """Say what stands in the way and what to do. what: what cannot be used, as in "The DynamoDB table x"."""
    remedy = _REMEDIES.get(refusal.code, _FAILS if refusal.is_failure else None)
    if remedy is None:
        return StoreError(
            f"{what} cannot be used: AWS answered {refusal.code} to {refusal.permission}. {refusal.message}"
        )
    return StoreError(f"{what} {remedy.format(permission=refusal.permission)}. ({refusal.code})")


def _refusal(answer: Mapping[str, Any], permission: str) -> Refusal:
    error = answer.get("Error", {})
    code = str(error.get("Code", "an error")).removesuffix("Exception")
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    message = _INTERNAL.sub("***", str(error.get("Message", "")))
    return Refusal(
        code, message, dict(answer.get("Item", {})), permission, is_failure=status >= _SERVER_ERROR
    )


def _action(operation: str) -> str:
    return "".join(word.capitalize() for word in operation.split("_"))


def _unreachable(name: str, error: Exception) -> str:
    return (
        f"AWS ({name}) cannot be reached: {_INTERNAL.sub('***', str(error))} Check the network, the region (AWS_REGION) "
        "and the credentials of this process."
    )
