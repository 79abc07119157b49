import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import UnitError
from fairlead.units import Duration, Rate, Share, Size


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("500ms", 500), ("10s", 10_000), ("5m", 300_000), ("1h", 3_600_000), ("1.5s", 1_500), ("0s", 0)],
)
def test_a_duration_is_a_number_and_its_unit(text: str, milliseconds: int) -> None:
    assert Duration.parse(text).milliseconds == milliseconds


@pytest.mark.parametrize(
    ("text", "size"),
    [("64KiB", 65_536), ("10MB", 10_000_000), ("1GiB", 2**30), ("512B", 512), ("1.5KiB", 1_536)],
)
def test_a_size_is_binary_or_decimal_by_its_unit(text: str, size: int) -> None:
    assert Size.parse(text).bytes == size


def test_a_rate_is_exact_whatever_its_period() -> None:
    assert Rate.parse("6000/m").per_second == 100
    assert Rate.parse("1/h").per_second * 3600 == 1


@pytest.mark.parametrize(("text", "fraction"), [("5%", 0.05), ("100%", 1.0), ("0%", 0.0), ("0.25", 0.25)])
def test_a_share_is_a_percentage_or_below_1(text: str, fraction: float) -> None:
    assert Share.parse(text).fraction == fraction


@pytest.mark.parametrize(
    ("unit", "value", "message"),
    [
        (Duration, 10, "write 10s"),
        (Duration, "10", "write 10s"),
        (Size, 65536, "write 65536B"),
        (Rate, 100, "write 100/s or 100/m"),
        (Share, 1, "write 100%"),
        (Share, 5, "write 5%"),
        (Share, "101%", "more than the whole"),
        (Duration, "10 s", "write it as 500ms, 10s, 5m or 1h"),
        (Duration, "0.5ms", "no whole number of milliseconds"),
        (Duration, "1d", "is no duration"),
        (Duration, "-1s", "is no duration"),
        (Duration, "99999999999999999999h", "too large"),
        (Duration, True, "a duration is expected"),
        (Size, "10mb", "is no size"),
        (Rate, "0/s", "is no rate"),
    ],
)
def test_what_is_refused_says_what_to_write(unit: type[Duration], value: object, message: str) -> None:
    with pytest.raises(UnitError, match=message):
        unit.read(value)


@given(st.integers(0, 2**63 - 1))
def test_a_quantity_prints_as_it_may_be_written(amount: int) -> None:
    assert Duration.parse(str(Duration(amount))) == Duration(amount)
    assert Size.parse(str(Size(amount))) == Size(amount)


@given(st.integers(0, 10_000))
def test_a_share_prints_as_it_may_be_written(hundredths: int) -> None:
    share = Share.parse(f"{hundredths / 100:.2f}%" if hundredths else "0%")
    assert Share.parse(str(share)) == share


@given(st.text(max_size=12))
def test_no_text_is_more_than_refused(text: str) -> None:
    for unit in (Duration, Size, Rate, Share):
        try:
            unit.parse(text)
        except UnitError as error:
            assert text in str(error)  # noqa: PT017  (most texts are refused, some are not)
