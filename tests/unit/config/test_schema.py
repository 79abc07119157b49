from pathlib import Path

from fairlead.config.manual import manual
from fairlead.config.schema import schema
from fairlead.model.shape import definitions

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "configuration.md"


def test_the_reference_page_is_the_one_that_the_definitions_make() -> None:
    # To renew it: fairlead schema --format markdown > docs/reference/configuration.md
    assert REFERENCE.read_text() == manual()


def test_every_key_is_described() -> None:
    for definition in definitions():
        for key, field in definition.model_fields.items():
            assert field.description, f"{definition.__name__}.{key}"


def test_no_key_is_both_built_and_reserved() -> None:
    for definition in definitions():
        assert not set(definition.RESERVED) & set(definition.model_fields)


def test_editors_learn_units_words_and_files_of_secrets() -> None:
    made = schema()["$defs"]
    connect = made["PoolTimeouts"]["properties"]["connect"]
    assert (connect["type"], connect["default"]) == ("string", "2s")
    assert connect["pattern"].endswith("(ms|s|m|h)$")
    assert {"const": "unlimited", "type": "string"} in made["IdleConnections"]["properties"]["max_uses"][
        "anyOf"
    ]
    assert made["HttpOptions"]["properties"]["max_headers"]["maximum"] == 65535
    assert made["Token"]["oneOf"] == [{"required": ["token"]}, {"required": ["token_file"]}]
    assert made["Cookie"]["not"] == {"required": ["secret", "secret_file"]}
    assert made["Backend"]["anyOf"][0]["type"] == "string"


def test_nothing_in_the_schema_can_be_null() -> None:
    assert "'null'" not in str(schema())
