"""The whole of what an operator wants."""

from typing import Annotated, ClassVar

from pydantic import Field

from fairlead.model.admin import Admin
from fairlead.model.certificate import Certificate
from fairlead.model.cluster import Cluster
from fairlead.model.definition import Definition
from fairlead.model.listener import Listener
from fairlead.model.logs import AccessLog, Logging
from fairlead.model.pool import Pool
from fairlead.model.resolver import Resolver
from fairlead.model.runtime import Runtime
from fairlead.model.value import Name, OneOrMany, Text

__all__ = ["Configuration"]


class Configuration(Definition):
    """A configuration file, or several merged by `include`."""

    RESERVED: ClassVar[tuple[str, ...]] = (
        "tracing",
        "geoip",
        "cache_zones",
        "high_availability",
        "dns_zones",
        "hooks",
    )

    include: Annotated[
        OneOrMany[Text],
        Field(
            description="Other files to merge, as glob patterns relative to the file that includes them.",
            examples=[["conf.d/*.yaml"]],
        ),
    ] = ()
    runtime: Annotated[Runtime, Field(description="How the processes run.")] = Runtime()
    admin: Annotated[Admin, Field(description="Who may watch and steer, and where.")] = Admin()
    logging: Annotated[Logging, Field(description="Fairlead's own log.")] = Logging()
    access_log: Annotated[AccessLog | None, Field(description="A line for each request.")] = None
    resolver: Annotated[Resolver, Field(description="How names of backends become addresses.")] = Resolver()
    certificates: Annotated[
        dict[Name, Certificate],
        Field(
            description="Certificates and keys, by the names under which listeners ask for them.",
            examples=[{"site": {"cert_file": "site.pem", "key_file": "site.key"}}],
        ),
    ] = Field(default_factory=dict)
    listeners: Annotated[
        dict[Name, Listener], Field(description="Where clients connect, by name.", min_length=1)
    ]
    pools: Annotated[dict[Name, Pool], Field(description="Who serves, by name.", min_length=1)]
    cluster: Annotated[Cluster, Field(description="What several nodes share, and where.")] = Cluster()
