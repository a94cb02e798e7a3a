"""AWS's loop is built for Linux; elsewhere its tests are left out."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("awslambdaric") else ["test_runtime.py"]
