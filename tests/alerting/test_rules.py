"""Rule files: what is wrong is said with file, line, key and what is allowed."""

from pathlib import Path

import polars as pl
import pytest

from alerting.condition import BadConditionError, Condition
from alerting.rules import Rule, load_rules
from alerting.subjects import Subject, columns

CONFIG = Path(__file__).parents[2] / "config"
GOOD = """
rules:
  - id: one
    on: site_interval
    when: demand_kw > contract_demand_kw
    for: 30m
    text: {zh: "{site_name}", en: "{demand_kw:.1f}"}
"""


def written(tmp_path, text):
    (tmp_path / "rules.yaml").write_text(text, encoding="utf-8")
    return load_rules(tmp_path, channels=["ops"])


def test_the_shipped_rules_are_sound():
    for folder in ("demo", "example"):
        book = load_rules(CONFIG / folder / "rules", channels=["operations"])
        assert book.faults == ()
        also = {Subject.ANOMALY} if folder == "example" else set()
        assert {one.rule.on for one in book.rules} == also | {
            Subject.SITE_INTERVAL, Subject.RUNNING, Subject.QUOTA, Subject.VERDICT, Subject.FLEET,
            Subject.QUOTA_YEAR, Subject.CAP,
        }  # fmt: skip


def test_a_rule_survives_being_written_down(tmp_path):
    (one,) = written(tmp_path, GOOD).rules
    again = Rule.model_validate(one.rule.written())
    assert again == one.rule
    assert again.digest() == one.rule.digest()


@pytest.mark.parametrize(
    ("old", "new", "key", "says", "allowed"),
    [
        ("demand_kw > c", "demnd_kw > c", "rules.0.when", "'demnd_kw'", "demand_kw"),
        ("demand_kw > contract_demand_kw", "demand_kw + 1", "rules.0.when", "gives Float64", ""),
        ("demand_kw > contract_demand_kw", "demand_kw >", "rules.0.when", "not a condition", ""),
        ("for: 30m", "for: soon", "rules.0.for", "", "15m"),
        ("for: 30m", "forr: 30m", "rules.0.forr", "unknown key", "when"),
        ("{demand_kw:.1f}", "{quota_kwh}", "rules.0", "quota_kwh", ""),
        ("{demand_kw:.1f}", "{demand_kw.__class__}", "rules.0", "__class__", ""),
        ("for: 30m", "notify: [pager]", "rules.0.notify", "'pager'", "ops"),
        ("on: site_interval", "on: galaxy", "rules.0.on", "galaxy", "fleet"),
    ],
)
def test_a_fault_names_the_line_the_key_and_what_is_allowed(tmp_path, old, new, key, says, allowed):
    book = written(tmp_path, GOOD.replace(old, new, 1))
    assert book.rules == ()
    (fault,) = book.faults
    assert fault.key == key
    assert fault.line >= 3
    assert says in str(fault)
    assert allowed in str(fault)


def test_an_id_given_twice_and_a_folder_without_rules_are_faults(tmp_path):
    twice = written(tmp_path, GOOD + GOOD.replace("\nrules:\n", ""))
    assert [one.key for one in twice.faults] == ["rules.1.id"]
    (tmp_path / "empty").mkdir()
    assert "no rule file" in str(load_rules(tmp_path / "empty").faults[0])


@pytest.mark.parametrize(
    "text",
    [
        "energy_kwh in (select x from read_csv('/etc/passwd'))",
        "exists (select 1)",
        "sum(energy_kwh) > 1",
        "lag(energy_kwh) over (order by at) > 1",
        "count(*) > 1",
        '"^.*$" > 1',
        "demand_kw(1) > 2",
        "energy_kwh > 1; drop",
        "energy_kwh > 'much'",
        "",
    ],
)
def test_a_condition_compares_and_can_do_nothing_else(text):
    with pytest.raises(BadConditionError):
        Condition.parse(text, columns(Subject.SITE_INTERVAL))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("demand_kw > 1.05 * contract_demand_kw", True),
        ("NOT (demand_kw <= 100) AND coverage >= 0.9", True),
        ("demand_kw BETWEEN 1 AND 5", False),
        ("site_id in ('a', 'b')", True),
        ("energy_kwh > 5", None),
        ("energy_kwh is null or coalesce(energy_kwh, 0) > 5", True),
        ("case when coverage > 0.5 then demand_kw > 100 else false end", True),
    ],
)
def test_conditions_over_a_row(text, value):
    row = {"site_id": "a", "demand_kw": 120.0, "contract_demand_kw": 100.0, "coverage": 1.0}
    frame = pl.DataFrame(
        [row | {"energy_kwh": None}], schema_overrides={"energy_kwh": pl.Float64()}
    )
    expr = Condition.parse(text, columns(Subject.SITE_INTERVAL)).expr
    assert frame.select(expr).item() is value
