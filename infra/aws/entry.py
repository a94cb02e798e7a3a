"""The process that `bootstrap` starts on Lambda: AWS's runtime loop, streaming where the function is set up for it."""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# awslambdaric publishes no types.

import os
import sys
from collections.abc import Mapping
from typing import Final

from awslambdaric import bootstrap  # type: ignore[import-untyped]  # publishes no types
from awslambdaric.__main__ import main as run_stock  # type: ignore[import-untyped]
from awslambdaric.lambda_config import LambdaConfigProvider  # type: ignore[import-untyped]

# Set for a function whose URL or API streams: its invocations do not say so.
STREAMING: Final = "COPILOT_GATEWAY_STREAMING"
# Where Lambda puts the name of the function's handler.
HANDLER: Final = "_HANDLER"


def main(environ: Mapping[str, str]) -> None:
    """Run the loop until Lambda ends the process.

    Concurrent invocations within one process (Managed Instances) have a loop of their own at AWS, which is buffered.
    """
    arguments = [sys.argv[0], environ[HANDLER]]
    config = LambdaConfigProvider(arguments, environ)
    if config.is_multi_concurrent or environ.get(STREAMING, "") in {"", "0"}:
        run_stock(arguments)
        return
    from infra.aws.runtime import StreamingClient, check_seam  # noqa: PLC0415 - a buffered function does without

    check_seam()
    bootstrap.run(config.handler, StreamingClient(config.api_address, config.use_thread_polling))


if __name__ == "__main__":
    main(os.environ)
