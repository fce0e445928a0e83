"""The doctor finds what is wrong and says what to do."""

from __future__ import annotations

import json
import subprocess

import pytest

from gluontricks import doctor, machine, mxnet_shim
from gluontricks.doctor import Finding
from gluontricks.machine import Cpu, Gpu


@pytest.fixture(scope="module")
def findings(tmp_path_factory):
    return doctor.diagnose(out=str(tmp_path_factory.mktemp("runs")))


def named(findings, name):
    return next(finding for finding in findings if finding.name == name)


def test_every_problem_has_a_remedy(findings):
    assert all(finding.remedy for finding in findings if finding.status != "ok")


def test_an_installation_that_runs_these_tests_has_no_error(findings):
    assert [finding for finding in findings if finding.status == "error"] == []
    assert named(findings, "MXNet").value.startswith("1.9.1")
    assert named(findings, "oneDNN").value == "on"
    assert named(findings, "data digits").value.endswith("images, embedded")


def test_json_is_one_document_with_every_finding(findings):
    document = json.loads(doctor.render_json(findings))
    assert [row["name"] for row in document["findings"]] == [each.name for each in findings]
    assert document["status"] == doctor.worst(findings)


def test_text_puts_the_remedy_under_its_problem():
    lines = doctor.render_text([Finding("a", "1"), Finding("long", "2", "warn", "do this")])
    assert lines.splitlines() == ["ok     a     1", "warn   long  2", " " * 13 + "-> do this"]


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [(["ok", "ok"], "ok"), (["ok", "warn"], "warn"), (["error", "warn"], "error"), ([], "ok")],
)
def test_the_gravest_status_counts(statuses, expected):
    assert doctor.worst([Finding("x", "", status) for status in statuses]) == expected


@pytest.mark.parametrize(
    ("version", "status"),
    [((3, 7, 9), "error"), ((3, 8, 0), "ok"), ((3, 13, 2), "ok"), ((3, 14, 0), "error")],
)
def test_supported_pythons_are_3_8_to_3_13(version, status):
    assert doctor.python_finding(version).status == status


def test_python_3_13_is_told_to_install_mxnet_without_its_dependencies(monkeypatch):
    monkeypatch.setattr(mxnet_shim.sys, "version_info", (3, 13, 0))
    assert "--no-deps mxnet==1.9.1" in doctor.python_finding((3, 13, 0)).value


@pytest.mark.parametrize(
    ("features", "status", "words"),
    [
        ({"avx512_bf16"}, "ok", "pays off: the CPU has avx512_bf16"),
        ({"avx512_bf16", "amx_bf16"}, "warn", "AMX unused"),
        ({"avx2"}, "ok", "does not pay off"),
    ],
)
def test_bfloat16_pays_off_with_avx512_but_hardly_with_amx(features, status, words):
    finding = doctor.bfloat16_finding(Cpu("a CPU", frozenset(features)))
    assert finding.status == status
    assert words in finding.value


@pytest.mark.parametrize("capability", [(5, 0), (6, 1), (7, 5), (8, 6), (8, 9)])
def test_mxnet_has_code_for_gpus_of_capability_5_to_8(capability):
    (finding,) = doctor.gpu_findings([Gpu("a GPU", capability, 16000)], "mxnet-cu112")
    assert (finding.status, finding.remedy) == ("ok", "")
    (finding,) = doctor.gpu_findings([Gpu("a GPU", capability, 16000)], None)
    assert "gluontricks[cu112]" in finding.remedy


@pytest.mark.parametrize("capability", [(3, 7), (9, 0), (10, 0), (12, 0)])
@pytest.mark.parametrize("build", [None, "mxnet-cu112"])
def test_mxnet_has_no_code_for_older_and_newer_gpus(capability, build):
    (finding,) = doctor.gpu_findings([Gpu("H100", capability, 80000)], build)
    assert finding.status == "warn"
    assert "no code for it" in finding.value


@pytest.mark.parametrize(
    ("torch", "status", "words"),
    [
        ("2.13.0", "ok", "use --engine torch"),
        ("2.13.0+cpu", "warn", "no code for it"),
        (None, "warn", "no code for it"),
    ],
)
def test_a_gpu_that_mxnet_cannot_use_is_pytorchs(torch, status, words):
    (finding,) = doctor.gpu_findings([Gpu("H100", (9, 0), 80000)], None, torch=torch)
    assert finding.status == status
    assert words in finding.value
    assert status == "ok" or "--engine torch" in finding.remedy


@pytest.mark.parametrize(
    ("version", "has_mxnet", "status", "words"),
    [
        (None, True, "ok", "gluontricks[torch]"),
        ("2.13.0+cpu", True, "ok", "2.13.0+cpu"),
        ("2.13.0+cpu", False, "ok", "prepared where MXNet is"),
        ("2.3.1", True, "warn", "2.3.1"),
    ],
)
def test_pytorch_is_reported_with_what_it_can_do(version, has_mxnet, status, words):
    finding = doctor.torch_finding(version, has_mxnet=has_mxnet)
    assert (finding.status, words in finding.value) == (status, True)


def test_the_allocator_is_shown_as_the_pytorch_engine_will_set_it(monkeypatch):
    assert "keep freed memory" in doctor.allocator_finding(("glibc", "2.36"), {}).value
    monkeypatch.setattr(doctor, "can_keep_memory", lambda: False)
    assert "slows PyTorch" in doctor.allocator_finding(("musl", ""), {}).value


def test_a_gpu_of_unknown_capability_is_reported():
    assert doctor.gpu_findings([Gpu("a GPU", None, 0)], None)[0].status == "warn"


def test_no_gpu_is_no_problem():
    assert doctor.gpu_findings([], None)[0].status == "ok"


def test_little_memory_is_a_warning():
    assert doctor.memory_finding(2**30).status == "warn"
    assert doctor.memory_finding(8 * 2**30) == Finding("memory", "8.0 GiB free")


def test_the_settings_of_the_allocator_are_shown():
    value = doctor.allocator_finding(("glibc", "2.36"), {"MALLOC_TRIM_THRESHOLD_": "-1"}).value
    assert value == "glibc 2.36, set by MALLOC_TRIM_THRESHOLD_"


def test_a_folder_below_a_file_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    finding = doctor.writable_finding("output folder", tmp_path / "file", "--out")
    assert finding.status == "error"
    assert "--out" in finding.remedy


def test_a_folder_still_to_be_made_is_tried_above_it(tmp_path):
    folder = tmp_path / "a" / "b"
    assert doctor.writable_finding("output folder", folder, "--out").status == "ok"
    assert list(tmp_path.iterdir()) == []


def test_a_missing_data_set_comes_with_the_command_that_fetches_it():
    row = {"name": "cifar100", "train": 50000, "test": 10000, "found": None}
    assert "gluontricks data fetch cifar100" in doctor.data_finding(row).remedy


def test_images_on_disk_are_told_where_they_are_and_not_missed_elsewhere(tmp_path):
    named_data = {f.name for f in doctor.diagnose(data_dir=tmp_path) if f.name.startswith("data ")}
    assert "data cifar100" in named_data
    assert not named_data & {"data imagenet", "data imagenette"}
    for part in ("train", "val"):
        (tmp_path / "ILSVRC2012" / part).mkdir(parents=True)
    found = named(doctor.diagnose(data_dir=tmp_path), "data imagenet")
    assert found.value.endswith("ILSVRC2012")


def test_without_mxnet_the_rest_is_still_diagnosed(monkeypatch, tmp_path):
    def absent():
        raise mxnet_shim.MXNetError("MXNet is not installed", "run `make install`")

    monkeypatch.delitem(vars(mxnet_shim), "mx", raising=False)
    monkeypatch.setattr(mxnet_shim, "_load", absent)
    found = doctor.diagnose(out=str(tmp_path))
    assert doctor.worst(found) == "error"
    assert named(found, "MXNet").remedy == "run `make install`"
    monkeypatch.setattr(doctor, "find_spec", lambda _: None)
    monkeypatch.setattr(doctor, "_version", lambda package: "2.13.0" if package == "torch" else "1")
    assert named(doctor.diagnose(out=str(tmp_path)), "MXNet").status == "warn"
    assert named(found, "data digits").status == "ok"


def test_more_threads_than_cores_is_a_warning(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "physical_cores", lambda: 2)
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    finding = named(doctor.diagnose(out=str(tmp_path)), "threads")
    assert (finding.status, finding.value) == ("warn", "2 physical cores, OMP_NUM_THREADS=64")


def test_two_builds_of_mxnet_in_one_place_are_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "cuda_build", lambda: "mxnet-cu112")
    finding = named(doctor.diagnose(out=str(tmp_path)), "MXNet")
    assert finding.status == "error"
    assert "pip uninstall -y mxnet mxnet-cu112" in finding.remedy


def test_scipy_2_is_refused_because_mxnet_uses_what_it_dropped():
    assert doctor.scipy_finding("2.0.1").status == "error"
    assert doctor.scipy_finding(None).remedy == "pip install 'scipy<2'"
    assert doctor.scipy_finding("1.17.1") == Finding("SciPy", "1.17.1")


def test_the_processor_is_read_from_the_system(tmp_path):
    (tmp_path / "cpuinfo").write_text("model name\t: A CPU\nflags\t\t: fpu avx2 amx_bf16\n" * 2)
    processor = machine.cpu(tmp_path / "cpuinfo")
    assert processor == Cpu("A CPU", frozenset({"fpu", "avx2", "amx_bf16"}))
    assert machine.cpu(tmp_path / "absent").features == frozenset()


def test_gpus_are_read_from_the_table_of_nvidia_smi(monkeypatch):
    table = "NVIDIA H100, PCIe, 9.0, 81559\nOld GPU, [N/A], 2048\n"
    done = subprocess.CompletedProcess([], 0, stdout=table)
    monkeypatch.setattr(machine.shutil, "which", lambda _: "/usr/bin/nvidia-smi")
    monkeypatch.setattr(machine.subprocess, "run", lambda *_, **__: done)
    assert machine.gpus() == [
        Gpu("NVIDIA H100, PCIe", (9, 0), 81559),
        Gpu("Old GPU", None, 2048),
    ]


def test_a_container_limits_free_memory(tmp_path):
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("400\n")
    assert machine.free_memory(tmp_path) == 600
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.free_memory(tmp_path) > 2**20
