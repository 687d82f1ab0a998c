"""The cache, asked the way that the application asks it."""

from dataclasses import dataclass

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from lambdas.checks.rules import CacheAddress
from lambdas.errors import DataStoreUnreachable

_TIMEOUT_SECONDS = 5


@dataclass(frozen=True)
class Cache:
    """A server that speaks Redis's protocol. TLS trusts the system's authorities, as ElastiCache's certificates do."""

    address: CacheAddress

    def answer(self, token: str | None) -> None:
        """Send a PING. Raises DataStoreUnreachable, without the server's words."""
        address = self.address
        try:
            with Redis(
                address.host,
                address.port,
                password=token,
                ssl=address.tls,
                socket_connect_timeout=_TIMEOUT_SECONDS,
                socket_timeout=_TIMEOUT_SECONDS,
                retry=Retry(NoBackoff(), 0),
            ) as cache:
                cache.ping()
        except (RedisError, OSError) as error:
            message = f"The cache {address.host}:{address.port} does not answer PING: {type(error).__name__}."
            raise DataStoreUnreachable(message) from None
