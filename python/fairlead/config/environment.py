"""``${NAME}`` and ``${NAME:-default}`` in scalars. ``$${`` is a ``${`` that is meant."""

import re
from collections.abc import Mapping

__all__ = ["UnsetError", "expand"]

_REFERENCE = re.compile(r"\$(\$\{)|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})?", re.ASCII)


class UnsetError(ValueError):
    """A reference that stands for nothing."""


def expand(text: str, environment: Mapping[str, str]) -> str:
    """Replace every reference; a default counts when the variable is unset or empty, as in a shell.

    Raises:
        UnsetError: if a variable is unset and has no default, or a reference is malformed.
    """

    def value(match: re.Match[str]) -> str:
        escaped, name, default = match.groups()
        if escaped:
            return "${"
        if name is None:
            message = 'a "${" that is no ${NAME} or ${NAME:-default}; write "$${" if it is meant'
            raise UnsetError(message)
        found = environment.get(name)
        if default is not None:
            return found or default
        if found is None:
            message = f"the environment has no {name}; ${{{name}:-default}} would give a default"
            raise UnsetError(message)
        return found

    return _REFERENCE.sub(value, text)
