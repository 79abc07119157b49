"""Second tries beside first ones, as the engine reads them."""

from typing import Any

from fairlead.model import Hedge

__all__ = ["hedge"]


def hedge(wanted: Hedge | None) -> dict[str, Any] | None:
    """Describe when a second try is made; None stands for never."""
    if wanted is None:
        return None
    after = wanted.after
    return {
        "after": {"percentile": int(after[1:])} if isinstance(after, str) else {"ms": after.milliseconds},
        "budget_thousandths": round(wanted.budget.fraction * 1000),
    }
