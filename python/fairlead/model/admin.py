"""Who may watch and steer a running Fairlead, and where."""

from typing import Annotated, Literal

from pydantic import Field

from fairlead.model.address import Bind
from fairlead.model.definition import Definition
from fairlead.model.value import Name, OneOrMany, SecretText

__all__ = ["Admin", "Token"]


class Token(Definition):
    """A bearer token and what it allows."""

    role: Annotated[
        Literal["viewer", "operator"],
        Field(description="`viewer` reads; `operator` may also drain, weigh, reload."),
    ]
    token: Annotated[
        SecretText,
        Field(description="The secret itself; better `token_file`, a file that holds it.", min_length=16),
    ]


class Admin(Definition):
    """HTTP API, metrics and health of Fairlead itself; never on a traffic port. A change needs a restart.

    The socket `admin.sock` in `runtime.directory` is always there, with full rights for its owner.
    """

    bind: Annotated[
        OneOrMany[Bind],
        Field(description="Addresses to serve it on besides the socket.", examples=["127.0.0.1:9900"]),
    ] = ()
    tokens: Annotated[
        dict[Name, Token],
        Field(
            description="Who may do what over TCP. Without any, only reads are answered there.",
            examples=[{"ops": {"role": "operator", "token_file": "/etc/fairlead/ops.token"}}],
        ),
    ] = Field(default_factory=dict)
