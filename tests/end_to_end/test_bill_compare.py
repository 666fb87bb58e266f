"""`demandwatch bill-compare`: a changed pack, price and contract against those in force."""

import json
from datetime import datetime, timedelta

import pytest
from program import ROOT
from test_billing import PRICES, REGISTER, SUPPLY, bring, made, shop
from typer.testing import CliRunner

from demandwatch.cli import app


@pytest.fixture(scope="module")
def bureau(tmp_path_factory):
    """Three days of June of a shop."""
    program = made(tmp_path_factory.mktemp("compare"), [shop()])
    first = datetime(2026, 6, 1)  # noqa: DTZ001 - local to the site, as the file says
    times = [first + timedelta(minutes=15 * n) for n in range(96 * 3 + 1)]
    bring(program, REGISTER, [f"{at:%Y-%m-%d %H:%M},shop-main,{n}" for n, at in enumerate(times)])
    return program


def run(program, other, *words):
    told = ["bill-compare", "-c", str(program.config), "--with", str(other), *words]
    return CliRunner().invoke(app, told)


def rows(program, other, *words):
    done = run(program, other, "--from", "2026-06", "--format", "json", *words)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout_bytes)


def pack(folder, old, new, name="trial.yaml"):
    text = (ROOT / "config/policy/tariff-guangdong.yaml").read_text(encoding="utf-8")
    assert old in text
    file = folder / name
    file.write_text(text.replace(old, new), encoding="utf-8")
    return file


def test_a_file_of_one_pack_stands_in_for_its_edition(bureau, tmp_path):
    same = pack(tmp_path, "from: 2021-10-01", "from: 2010-01-01")
    assert rows(bureau, same)[0]["lines_changed"] == 0
    longer = pack(tmp_path, '["00:00", "08:00"]', '["00:00", "09:00"]')
    (row,) = rows(bureau, longer)
    assert row["changed"].startswith("energy:flat energy:valley")
    assert (row["difference_yuan"], row["reason_after"]) == (None, "amounts_missing")  # no kvarh
    assert row["known_difference_yuan"] == -5.01  # 12 kWh at 0.2556 in place of 0.6725
    lines = {one["period"]: one for one in rows(bureau, longer, "--lines")}
    assert (lines["valley"]["quantity_before"], lines["valley"]["quantity_after"]) == (96.0, 108.0)
    assert (lines["flat"]["quantity_before"], lines["flat"]["quantity_after"]) == (108.0, 96.0)


def test_other_settings_with_other_prices_and_a_site_more(bureau, tmp_path):
    dearer = PRICES | {"flat_yuan_per_kwh": 0.7}
    sites = [shop(), shop("kiosk") | {"supply": [SUPPLY], "meters": []}]
    sites[1]["meters"] = [{"id": "kiosk-main", "source": {"via": "file"}}]
    other = made(tmp_path, sites, prices={"trial": [dearer]})
    found = {row["site_id"]: row for row in rows(bureau, other.config.parent)}
    assert found["kiosk"]["reason_before"] == "no_such_site"
    assert found["kiosk"]["after_yuan"] is None
    assert "energy:peak" in found["shop"]["changed"]
    months = rows(bureau, other.config, "--to", "2026-07", "--sites", "shop")
    assert [row["month"] for row in months] == ["2026-06-01", "2026-07-01"]


def test_a_table_sums_up_and_says_that_it_is_a_simulation(bureau, tmp_path):
    done = run(bureau, pack(tmp_path, "peak: 1.70,", "peak: 1.80,"), "--from", "2026-06")
    assert done.exit_code == 0, done.output
    assert "simulated (测算): 1 of 1 bills change" in done.stdout


def test_a_file_of_packs_no_bill_rests_on_is_refused(bureau):
    done = run(bureau, ROOT / "config/policy/product-quotas-gb.yaml", "--from", "2026-06")
    assert done.exit_code == 1
    assert "holds no pack a bill rests on" in done.stderr


@pytest.mark.parametrize(
    ("change", "words", "said"),
    [
        (None, (), "is not there"),
        (("peak: 1", "peek: 1"), (), "peek"),
        (('edition: "', 'edition: "x'), (), "in force together"),
        (("peak: ", "peak: "), ("--to", "2026-05"), "--to must not be earlier"),
        (("peak: ", "peak: "), ("--sites", "nowhere"), "no site nowhere"),
    ],
)
def test_what_cannot_be_compared_is_told_in_a_sentence(bureau, tmp_path, change, words, said):
    other = tmp_path / "nothing.yaml" if change is None else pack(tmp_path, *change)
    done = run(bureau, other, "--from", "2026-06", *words)
    assert done.exit_code == 1
    assert said in done.stderr
    assert "Traceback" not in done.output
