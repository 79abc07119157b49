"""What several nodes share."""

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, SecretStr

from fairlead.model.definition import Definition
from fairlead.model.value import SecretText, refuse

__all__ = ["Cluster"]

_SCHEMES = ("redis://", "rediss://", "unix://")


def _address(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().startswith(_SCHEMES):
        message = 'is no address of a Redis: "redis://host:6379/0", "rediss://…" with TLS, "unix:///path"'
        raise refuse(message)
    return value


class Cluster(Definition):
    """Where nodes share what all of them should know."""

    RESERVED: ClassVar[tuple[str, ...]] = ("etcd",)

    redis: Annotated[
        Annotated[SecretText, AfterValidator(_address)] | None,
        Field(
            description="A Redis or Valkey, as `redis://user:password@host:6379/0`; with a password better "
            "`redis_file`, a file that holds it. Needs the extra `fairlead[redis]`.",
            examples=["redis://127.0.0.1:6379/0"],
        ),
    ] = None
