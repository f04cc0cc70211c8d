"""boto3's clients, made the same way for everybody here: no retries of its own, short waits, no newer checksums."""

from __future__ import annotations

from typing import Any, Final

import boto3
from botocore.config import Config

from lifecycle.stores.s3.address import Address

CONNECT_SECONDS: Final = 10.0
READ_SECONDS: Final = 60.0
CONNECTIONS: Final = 32


def session(address: Address) -> Any:
    """Return a session with the address's credentials, or those that boto3 finds."""
    return boto3.session.Session(
        aws_access_key_id=address.key, aws_secret_access_key=address.secret, region_name=address.region
    )


def client(address: Address) -> Any:
    """Return a new client."""
    return session(address).client(
        "s3",
        endpoint_url=address.endpoint,
        config=Config(
            retries={"max_attempts": 0},
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            max_pool_connections=CONNECTIONS,
            # Newer checksums in trailers are unknown to many servers.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path" if address.path_style else "virtual"},
        ),
    )
