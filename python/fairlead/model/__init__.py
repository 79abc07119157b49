"""What is wanted: the configuration as immutable, typed objects, a file a noun.

In reading order: ``configuration`` is the whole; ``listener``, ``route`` and ``match`` say how requests come
in, ``pool`` who serves them, ``algorithm`` whom next and ``affinity`` whom again; ``runtime``, ``admin``,
``logs`` and ``resolver`` how Fairlead itself behaves, ``cluster`` what nodes share. ``definition`` and
``value`` are what these are made from, ``address`` the texts that name a socket, and ``shape`` answers what
may stand at a path.
"""

from fairlead.model.address import AnyAddress, BackendAddress, Bind, HostPort, IpPort, NameServer, UnixPath
from fairlead.model.admin import Admin, Token
from fairlead.model.affinity import Affinity
from fairlead.model.algorithm import Algorithm
from fairlead.model.breaker import CircuitBreaker
from fairlead.model.certificate import Certificate, CertificateFacts
from fairlead.model.cluster import Cluster
from fairlead.model.configuration import Configuration
from fairlead.model.health import PassiveHealth
from fairlead.model.health_check import (
    BodyRegex,
    ExecCheck,
    Expect,
    HeaderPresent,
    HeaderRegex,
    HealthCheck,
    HttpCheck,
    TcpCheck,
    TlsCheck,
)
from fairlead.model.hedge import Hedge
from fairlead.model.listener import (
    HttpOptions,
    Listener,
    ListenerTimeouts,
    ListenerTls,
    PoolListener,
    RoutesListener,
    SniListener,
    Socket,
    UdpOptions,
)
from fairlead.model.logs import AccessLog, Logging
from fairlead.model.match import Match, PathRegex
from fairlead.model.max_in_flight import Adaptive, AdaptiveLimit, MaxInFlight
from fairlead.model.pool import Backend, IdleConnections, Pool, PoolTimeouts, PoolTls
from fairlead.model.queue import Queue
from fairlead.model.resolver import Resolver
from fairlead.model.retry import Retry
from fairlead.model.route import RequestOptions, Route, RouteTimeouts
from fairlead.model.runtime import Runtime

__all__ = [
    "AccessLog",
    "Adaptive",
    "AdaptiveLimit",
    "Admin",
    "Affinity",
    "Algorithm",
    "AnyAddress",
    "Backend",
    "BackendAddress",
    "Bind",
    "BodyRegex",
    "Certificate",
    "CertificateFacts",
    "CircuitBreaker",
    "Cluster",
    "Configuration",
    "ExecCheck",
    "Expect",
    "HeaderPresent",
    "HeaderRegex",
    "HealthCheck",
    "Hedge",
    "HostPort",
    "HttpCheck",
    "HttpOptions",
    "IdleConnections",
    "IpPort",
    "Listener",
    "ListenerTimeouts",
    "ListenerTls",
    "Logging",
    "Match",
    "MaxInFlight",
    "NameServer",
    "PassiveHealth",
    "PathRegex",
    "Pool",
    "PoolListener",
    "PoolTimeouts",
    "PoolTls",
    "Queue",
    "RequestOptions",
    "Resolver",
    "Retry",
    "Route",
    "RouteTimeouts",
    "RoutesListener",
    "Runtime",
    "SniListener",
    "Socket",
    "TcpCheck",
    "TlsCheck",
    "Token",
    "UdpOptions",
    "UnixPath",
]
