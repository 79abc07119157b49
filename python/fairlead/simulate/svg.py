"""Elements of SVG and HTML as text: every value escaped, every tag closed."""

from xml.sax.saxutils import escape, quoteattr

__all__ = ["element", "number", "text"]


def element(tag: str, *children: str, **attributes: object) -> str:
    """An element; children are elements or ``text``. ``class_`` is ``class``, ``view_box`` ``view-box``."""
    known = ((name.rstrip("_").replace("_", "-"), value) for name, value in attributes.items())
    said = "".join(f" {name}={quoteattr(_written(value))}" for name, value in known if value is not None)
    return f"<{tag}{said}>{''.join(children)}</{tag}>" if children else f"<{tag}{said}/>"


def _written(value: object) -> str:
    return number(value) if isinstance(value, float) else str(value)


def text(value: object) -> str:
    """What is shown as it is."""
    return escape(str(value))


def number(value: float) -> str:
    """A coordinate: a tenth of a pixel is enough."""
    return f"{value:.1f}".removesuffix(".0")
