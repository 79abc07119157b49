"""What advice says of a configuration, as an operator reads it."""

from typing import Any

from fairlead.advise import Machine, advice
from fairlead.errors import dotted
from fairlead.model import Configuration

MACHINE = Machine(cores=2, has_user="fairlead".__eq__)


def advised(pool: dict[str, Any], **parts: Any) -> dict[str, str]:  # noqa: ANN401  (any part of a configuration)
    """By the path that is spoken of; of a listener before the pool `app`, where nothing else is said."""
    whole = {
        "access_log": {},
        "listeners": {"web": {"bind": ":0", "pool": "app"}},
        "pools": {"app": pool},
        **parts,
    }
    return {dotted(path): text for path, text in advice(Configuration.model_validate(whole), MACHINE)}
