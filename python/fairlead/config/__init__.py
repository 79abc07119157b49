"""Text to model: what a user wrote, and where, until it is a model or a list of errors.

In reading order: ``source`` is a file's text; ``yaml_syntax``, ``json_syntax`` and ``toml_syntax`` make one
kind of tree (``node``) of it; ``content`` makes data of a tree, with ``environment``; ``document`` merges the
files and knows where everything stands; ``secret`` reads files of secrets; ``reference`` finds what
contradicts something else; ``wording`` says what the models found; ``trial`` keeps what is valid; ``reading``
is the way through all of them. ``schema`` and ``manual`` describe the format to editors and to people.
"""

from fairlead.config.reading import Reading, read

__all__ = ["Reading", "read"]
