"""Values that are written in several ways: which of them is meant, and which words there are.

What tells them apart stands beside each choice, as a discriminator. So an error is about what was meant, and
not a list of all that it could have been.
"""

from collections.abc import Callable, Mapping

from fairlead.model.definition import Definition

__all__ = ["Known", "by_key"]


class Known:
    """Marks a text: words that it may be, or begin with (``header:``), for who misspells one."""

    def __init__(self, *words: str) -> None:
        self.words = words


def by_key(*keys: str, otherwise: str | None = None, scalar: str | None = None) -> Callable[[object], str]:
    """Tell mappings apart by a key that each of them has for itself; what is none says so itself then.

    Args:
        keys: In the order in which they count. Each is also the name of its branch, in ``<>``.
        otherwise: The branch of a mapping that has none of them; that of the first key without it.
        scalar: The branch of what is no mapping; the same without it.
    """
    other = otherwise or keys[0]

    def branch(value: object) -> str:
        given = type(value).model_fields if isinstance(value, Definition) else value
        if not isinstance(given, Mapping):
            return f"<{scalar or other}>"
        return f"<{next((key for key in keys if key in given), other)}>"

    return branch
