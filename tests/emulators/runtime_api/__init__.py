"""AWS Lambda as the function sees it: the Runtime API on one port, a function URL on another, a process to serve them."""

from tests.emulators.runtime_api.api import RuntimeApi
from tests.emulators.runtime_api.function import Lambda
from tests.emulators.runtime_api.invocation import Invocation

__all__ = ["Invocation", "Lambda", "RuntimeApi"]
