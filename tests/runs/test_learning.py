"""Learning works: real handwritten digits are learned in a few epochs."""

import json


def test_a_small_network_reads_handwritten_digits_after_three_epochs(finished_run):
    record = json.loads((finished_run / "record.json").read_text(encoding="utf-8"))
    # Chance is 10 %; seed 0 gave 91.4 % when this was written.
    assert record["metrics"]["top1"] > 80
    losses = [epoch["loss"] for epoch in record["epochs"]]
    assert losses == sorted(losses, reverse=True)
