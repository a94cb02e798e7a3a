"""A throw-away certificate for 127.0.0.1 and localhost, made by the openssl program."""

import shutil
import ssl
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(slots=True, frozen=True)
class Certificate:
    """A self-signed certificate and its key in a directory of their own."""

    directory: Path

    @classmethod
    def create(cls) -> Self:
        """Make one, valid for a day; raise FileNotFoundError where openssl is missing."""
        directory = Path(tempfile.mkdtemp(prefix="fake-copilot-"))
        names = "subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:github.com,DNS:api.github.com,DNS:*.githubcopilot.com"
        command = [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", "1", "-subj", "/CN=fake-copilot", "-addext", names,
            "-keyout", str(directory / "key.pem"), "-out", str(directory / "cert.pem"),
        ]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True)
        return cls(directory)

    @property
    def path(self) -> Path:
        """Return the certificate that clients should trust."""
        return self.directory / "cert.pem"

    def server_context(self) -> ssl.SSLContext:
        """Return the server's TLS settings."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path, self.directory / "key.pem")
        return context

    def remove(self) -> None:
        """Delete the files."""
        shutil.rmtree(self.directory, ignore_errors=True)
