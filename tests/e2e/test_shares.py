"""Weights become shares, and nothing fails on the way."""

from pathlib import Path

from support import load
from support.origins import origins
from support.process import configuration, run, write

REQUESTS = 20_000


async def test_shares_follow_weights_within_one_percent(tmp_path: Path) -> None:
    async with origins("one", "three") as (one, three):
        config = tmp_path / "fairlead.json"
        weighted = {"address": three.address, "weight": 3}
        write(config, configuration(tmp_path, one.address, weighted))
        async with run(config, tmp_path) as fairlead:
            report = await load.run(
                await fairlead.address(), "--requests", str(REQUESTS), "--count-header", "x-backend"
            )
    assert report["failed"] == 0, report["failures"]
    assert report["requests"] == REQUESTS
    assert abs(report["labels"]["three"] / REQUESTS - 0.75) <= 0.01 * 0.75
    assert abs(report["labels"]["one"] / REQUESTS - 0.25) <= 0.01 * 0.25
