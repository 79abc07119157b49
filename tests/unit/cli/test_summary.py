"""What is said at the start."""

from fairlead.cli.summary import summary
from fairlead.model import Configuration
from fairlead.model.stats import BindStats, ListenerStats
from fairlead.model.status import EngineStatus, PlanStatus
from support.reported import reported

CONFIGURATION = Configuration.model_validate(
    {
        "listeners": {"web": {"bind": ":0", "pool": "app"}},
        "pools": {"app": {"backends": ["127.0.0.1:9001", {"address": "127.0.0.1:9002", "weight": 3}]}},
    }
)
STATUS = reported(
    pid=123,
    admin=("/run/fairlead/admin.sock", "127.0.0.1:9900"),
    plan=PlanStatus(version=1, source="fairlead.yaml", accepted_at_ms=0),
    engine=EngineStatus(pid=124, version="1.0", workers=1, adopted=False, restarts=0),
    listeners=(ListenerStats(name="web", binds=(BindStats(text=":0", bound="[::]:4001"),)),),
)


def test_it_names_addresses_backends_and_what_to_do() -> None:
    text = summary(STATUS, CONFIGURATION)
    assert "Fairlead 1.0 serves fairlead.yaml with 1 worker\n" in text
    assert "web on http://localhost:4001" in text
    assert "→ app" in text
    assert "127.0.0.1:9001, 127.0.0.1:9002 \N{MULTIPLICATION SIGN}3" in text
    assert "/run/fairlead/admin.sock" in text
    assert "http://127.0.0.1:9900" in text
    assert "kill -HUP 123" in text


def test_a_thousand_pools_take_a_few_lines() -> None:
    pools = {f"p{number}": {"backends": ["127.0.0.1:1"]} for number in range(1000)}
    listeners = {"web": {"bind": ":0", "pool": "p1"}}
    text = summary(STATUS, Configuration.model_validate({"listeners": listeners, "pools": pools}))
    assert "and 988 more" in text
    assert len(text.splitlines()) < 30
