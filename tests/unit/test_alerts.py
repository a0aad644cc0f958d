"""docs/alerts.yaml: Prometheus can read it, and it asks for what there is."""

import re
from pathlib import Path

import promql_parser
import pytest
import yaml

ALERTS = Path(__file__).parents[2] / "docs" / "alerts.yaml"
RULES = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
METRICS = set(re.findall(r'"(labapp_\w+)"', (ALERTS.parents[1] / "labapp" / "observe" / "metrics.py").read_text()))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule(rule: dict) -> None:
    """Its expression is PromQL about metrics of ours, and it says what is wrong and what to do."""
    promql_parser.parse(rule["expr"])
    asked = {name.removesuffix("_total") for name in re.findall(r"labapp_\w+", rule["expr"])}

    assert asked
    assert asked <= METRICS
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert rule["annotations"].keys() == {"summary", "action"}


def test_what_is_no_promql_is_noticed() -> None:
    """The parser is a real one."""
    with pytest.raises(ValueError, match=r"unclosed|unexpected|expect"):
        promql_parser.parse("max by (topic (labapp_lag_records) > 1")
