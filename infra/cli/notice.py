"""What everybody who uses the gateway should know first; the login page says it too."""

from core.notice import NOTICE

__all__ = ["NOTICE"]
