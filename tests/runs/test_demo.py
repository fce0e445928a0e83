"""The demonstration end to end, with networks and epochs small enough for a test."""

import json
import signal
from dataclasses import replace

import pytest
from running import command, finish, spawn, wait_for_line

from gluontricks import demo, training
from gluontricks.recipes.spec import Row


@pytest.mark.slow
def test_the_demonstration_runs_to_its_end_and_trains_nothing_twice(tmp_path, monkeypatch):
    small = tuple(
        Row(row.label, replace(row.recipe, num_epochs=1, warmup_epochs=0)) for row in demo.DEMO.rows
    )
    monkeypatch.setattr(demo, "DEMO", replace(demo.DEMO, rows=small))
    out = tmp_path / "demo"
    told = []
    result = demo.run_demo(out, told.append, quiet=True)
    assert set(result["top1"]) == {"teacher", "plain", "vertical stitching + distillation"}
    assert result["classified"] == 10
    assert 0 <= result["right"] <= 10
    for name in ("table.md", "table.csv", "curves.png", "stitched.png"):
        assert (out / name).stat().st_size > 100
    assert len(list((out / "digits").glob("*.png"))) == 10
    table = (out / "table.md").read_text(encoding="utf-8")
    assert all(row.label in table for row in small)
    for record in out.glob("runs/*/record.json"):
        assert json.loads(record.read_text(encoding="utf-8"))["label"] == "SMOKE"
    states = {p.name for p in out.glob("runs/*/ckpt-*")}

    def refuse(*_):
        pytest.fail("a finished part was trained again")

    monkeypatch.setattr(training, "fit", refuse)
    again = command("demo", "--out", out, "--json")
    assert again.code == 0, again.err
    assert again.document["top1"] == result["top1"]
    assert {p.name for p in out.glob("runs/*/ckpt-*")} == states


def test_ctrl_c_stops_the_demonstration_and_not_only_its_run(tmp_path):
    process = spawn("demo", "--out", tmp_path / "demo")
    wait_for_line(process, "44 updates an epoch")
    process.send_signal(signal.SIGINT)
    done = finish(process)
    assert done.code == 130, done.err
    assert done.err == ""
    assert "stopped, with a checkpoint in" in done.out.splitlines()[-1]
    assert sorted(p.name for p in (tmp_path / "demo").iterdir()) == ["runs"]
