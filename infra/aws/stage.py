"""A deployed stage as the operator's own machine sees it: where it answers, and its two stores."""

import importlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from core.ports import SecretStore, StateStore

if TYPE_CHECKING:
    from infra.aws.log_events import StageLog

SERVICE: Final = "copilot-gateway"
# What the stack's outputs are called.
URL, TABLE, SECRET = "BaseUrl", "TableName", "SecretName"

EXPIRED: Final = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
UNKNOWN: Final = frozenset(
    {"InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClientException", "AuthFailure"}
)
NO_BOTO: Final = (
    "AWS's library for Python (boto3) is not installed: run `make deploy`, or `pip install boto3` where this "
    "command lives."
)


class StageError(Exception):
    """The stage or the AWS account cannot be used; the message says what to do."""


class Stage(Struct, frozen=True, kw_only=True):
    """One deployment. url: without a trailing slash, with the path of an API Gateway's stage where there is one."""

    name: str
    region: str
    url: str
    table: str
    secret: str


class Caller(Struct, frozen=True):
    """Who the credentials belong to."""

    account: str
    identity: str


class Account:
    """The AWS account that the credentials at hand open, in one region. Every method raises StageError."""

    def __init__(self, region: str | None = None, profile: str | None = None) -> None:
        self._session = _session(region, profile)
        self.region = str(_ask(lambda: self._session.region_name) or "")
        if not self.region:
            raise StageError(
                "No AWS region is chosen: pass --region eu-central-1, say, or set AWS_REGION (see `aws configure`)."
            )

    def caller(self) -> Caller:
        """Return who we are; this is how missing and wrong credentials are found out."""
        reply = _ask(self._client("sts").get_caller_identity)
        return Caller(str(reply["Account"]), str(reply["Arn"]))

    def find(self, stage: str, service: str = SERVICE) -> Stage:
        """Return what the stack of this stage says about itself."""
        stack = f"{service}-{stage}"
        client = self._client("cloudformation")
        reply = _ask(lambda: client.describe_stacks(StackName=stack), missing=_no_stack(stack, self.region))
        outputs = {str(o["OutputKey"]): str(o["OutputValue"]) for o in reply["Stacks"][0].get("Outputs", [])}
        if absent := [name for name in (URL, TABLE, SECRET) if name not in outputs]:
            raise StageError(
                f"The stack {stack} has no output {', '.join(absent)}: its first deployment did not end, or it was made "
                "by another version. Deploy again: copilot-gateway deploy --stage " + stage
            )
        url = outputs[URL].rstrip("/")
        return Stage(name=stage, region=self.region, url=url, table=outputs[TABLE], secret=outputs[SECRET])

    def state_store(self, stage: Stage) -> StateStore:
        """Return the stage's shared records."""
        from infra.aws.dynamodb import DynamoStateStore  # noqa: PLC0415 - `smoke` does without

        return DynamoStateStore(stage.table, lambda: self._session.client("dynamodb"), time.time)

    def log(self, stage: str, service: str = SERVICE) -> "StageLog":
        """Return what the stage's functions have logged."""
        from infra.aws.log_events import StageLog  # noqa: PLC0415

        return StageLog(self._client("logs"), f"/aws/lambda/{service}-{stage}-", _ask)

    def secret_store(self, stage: Stage) -> SecretStore:
        """Return the stage's secrets."""
        from infra.aws.secrets_manager import SecretsManagerStore  # noqa: PLC0415

        return SecretsManagerStore(stage.secret, lambda: self._session.client("secretsmanager"))

    def _client(self, name: str) -> Any:
        return _ask(lambda: self._session.client(name))


def _session(region: str | None, profile: str | None) -> Any:
    try:
        boto3: Any = importlib.import_module("boto3")  # an extra, which a laptop's gateway does without
    except ImportError as error:
        raise StageError(NO_BOTO) from error
    return _ask(lambda: boto3.session.Session(region_name=region, profile_name=profile))


def _ask(call: Callable[[], Any], missing: str = "") -> Any:
    faults = _faults()
    try:
        return call()
    except (faults.NoCredentialsError, faults.PartialCredentialsError) as error:
        raise StageError(
            "There are no AWS credentials: run `aws configure`, `aws sso login`, or set AWS_PROFILE."
        ) from error
    except faults.ClientError as error:
        raise StageError(_refusal(error.response.get("Error", {}), missing)) from error
    except faults.ProfileNotFound as error:
        raise StageError(f"{error}. See `aws configure list-profiles`.") from error
    except (faults.SSOError, faults.TokenRetrievalError) as error:
        raise StageError(f"AWS cannot be asked: {error}. Run `aws sso login`.") from error
    except (faults.BotoCoreError, ValueError) as error:  # ValueError: for some settings, such as the endpoint
        raise StageError(f"AWS cannot be asked: {error}") from error
    except Exception as error:
        # An answer that botocore cannot read is told by whatever its parsers raise.
        raise StageError(
            "AWS answered what cannot be read. Try again; if it lasts, look at what stands between."
        ) from error


def _faults() -> Any:
    return importlib.import_module("botocore.exceptions")


def _refusal(error: Any, missing: str) -> str:
    code, message = str(error.get("Code", "")), str(error.get("Message", ""))
    if code in EXPIRED:
        return "The AWS credentials have expired: run `aws sso login`, or fetch new ones."
    if code in UNKNOWN:
        return "AWS does not know these credentials: check AWS_PROFILE, AWS_ACCESS_KEY_ID and the clock of this machine."
    if missing and code == "ValidationError" and "does not exist" in message:
        return missing
    return f"AWS refused ({code}): {message}"


def _no_stack(stack: str, region: str) -> str:
    return f"There is no stack {stack} in {region}. Deploy it with `copilot-gateway deploy`, or name its --stage and --region."
