"""``gyrus simulate``: no operator is needed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gyrus.cli import drawing
from support.command_line import Gyrus

TRACE = "time,service_time,GeneratedTokens\n" + "".join(f"{n / 4},{n % 3},{n % 7}\n" for n in range(200))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project without a handler, and a trace."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "gyrus.yaml").write_text("- {name: chat, kind: RealtimeAPI, handler: {path: handler.py}}\n")
    (folder / "trace.csv").write_text(TRACE)
    return folder


def arguments(folder: Path, *more: str | Path) -> tuple[str | Path, ...]:
    """``more`` comes last, and so counts where it repeats an option."""
    trace = folder / "trace.csv"
    return ("simulate", folder, "--trace", trace, "--service-time", "column", "--startup", "8s", *more)


def test_the_table_has_a_line_for_each_policy(gyrus: Gyrus, folder: Path) -> None:
    ran = gyrus(*arguments(folder, "--policy", "cortex", "--policy", "fixed:5", "--price", "0.526/h"))
    assert ran.code == 0
    title, _, headers, cortex, fixed = ran.out.splitlines()
    assert title == "trace.csv: 200 requests in 49s, 4.0 in progress on average; for chat"
    assert headers.split()[0] == "POLICY"
    assert headers.split()[-4:] == ["REPLICA-HOURS", "COST", "PEAK", "SCALINGS"]
    assert cortex.startswith("cortex ")
    assert fixed.split()[0] == "fixed:5"
    assert fixed.split()[-2:] == ["5", "0"]
    assert "2 × the request's service time" in ran.err


def test_json_has_what_scripts_rely_on(gyrus: Gyrus, folder: Path) -> None:
    reported = gyrus(
        *arguments(folder, "--policy", "fixed:8", "--slo", "1.5s", "--price", "3.6", "-o", "json")
    ).json
    assert (reported["trace"], reported["requests"], reported["slo"]) == ("trace.csv", 200, 1.5)
    [policy] = reported["policies"]
    assert policy["policy"] == "fixed:8"
    assert policy["slo_misses"] == 66  # those that take 2 s
    assert policy["replica_hours"] == pytest.approx(8 * 51.25 / 3600)
    assert policy["cost"] == pytest.approx(3.6 * policy["replica_hours"])
    assert policy["p95_wait"] == 0


def test_a_comparison_shows_the_distance_to_clairvoyant(gyrus: Gyrus, folder: Path) -> None:
    ran = gyrus(*arguments(folder, "--compare"))
    assert ran.code == 0
    first, second = ran.out.split("\n\n")[1:]
    names = [line.split()[0] for line in first.splitlines()[1:]]
    assert names == ["gyrus", "cortex", "kpa", "hpa", "clairvoyant"]
    assert [line.split()[0] for line in second.splitlines()[1:]] == names[:-1]
    assert "REPLICA-HOURS × clairvoyant" in second


def test_a_part_of_the_trace_thinner_and_faster(gyrus: Gyrus, folder: Path) -> None:
    more = ("--policy", "fixed:9", "--first", "40s", "--scale", "25%", "--speed", "2x", "-o", "json")
    reported = gyrus(*arguments(folder, *more)).json
    assert reported["requests"] == 40
    assert reported["policies"][0]["replica_seconds"] == pytest.approx(9 * (156 / 4 / 2 + 0), rel=0.1)


def long_trace(folder: Path) -> None:
    """Write a trace whose simulation takes seconds: two days of traffic."""
    (folder / "trace.csv").write_text("time,service_time\n" + "".join(f"{n * 20},1\n" for n in range(9000)))


def test_a_long_simulation_begins_with_one_line(gyrus: Gyrus, folder: Path) -> None:
    long_trace(folder)
    ran = gyrus(*arguments(folder, "--policy", "hpa", "--policy", "fixed:2"))
    assert ran.code == 0
    assert [line for line in ran.err.splitlines() if "Simulating" in line] == [
        "Simulating 9,000 requests in 2d"
    ]


def command(folder: Path, *more: str) -> list[str]:
    words = [str(word) for word in arguments(folder, *more)]
    return [sys.executable, "-m", "gyrus.cli.main", *words]


@pytest.mark.processes
@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("more", [[], ["--tune"]])
def test_on_a_terminal_it_shows_how_far_it_is_and_ctrl_c_ends_it(folder: Path, more: list[str]) -> None:
    import pty

    long_trace(folder)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command(folder, *more), env={**os.environ, "TERM": "xterm"}, stderr=theirs, stdout=subprocess.PIPE
    )
    os.close(theirs)
    with open(ours, "rb", buffering=0) as terminal:
        shown = b""
        while b" left (" not in shown:
            shown += terminal.read(4096)
        assert re.search(rb"(Simulating gyrus|Tried 0 of at most \d+ settings): \d+% done, about ", shown)
        process.send_signal(signal.SIGINT)
        rest = b""
        while b"Interrupted." not in rest:
            rest += terminal.read(4096)
    assert b"\r\x1b[2KInterrupted." in rest, "the line is erased"
    assert process.communicate(timeout=60)[0] == b""
    assert process.returncode == 130


def test_equal_seeds_give_equal_results(gyrus: Gyrus, folder: Path) -> None:
    drawn = ("--service-time", "lognormal(1s, 0.5)", "--policy", "kpa", "-o", "json")
    first, second, third = (
        gyrus(*arguments(folder, *drawn, "--seed", seed)).json["policies"] for seed in ("1", "1", "2")
    )
    assert first == second != third


def test_a_picture_is_drawn(gyrus: Gyrus, folder: Path) -> None:
    picture = folder / "run.svg"
    ran = gyrus(*arguments(folder, "--policy", "hpa", "--plot", picture))
    assert ran.code == 0
    assert str(picture) in ran.err
    assert picture.read_text().startswith("<svg")


@pytest.mark.slow
def test_the_search_shows_settings_to_paste(gyrus: Gyrus, folder: Path) -> None:
    more = ("--tune", "--slo", "4s", "--slo-ratio", "10%")
    ran = gyrus(*arguments(folder, *more))
    assert ran.code == 0
    assert ran.out.startswith("autoscaling:\n  ")
    assert "settings meet the goal" in ran.err or "these meet the goal" in ran.err
    reported = gyrus(*arguments(folder, *more, "-o", "json")).json
    assert reported["met"]
    assert [each["policy"] for each in reported["policies"]] == ["present", "tuned"]
    assert reported["policies"][1]["slo_miss_ratio"] <= 0.1
    assert reported["tried"] > 20
    for name, value in reported["autoscaling"].items():
        assert f"  {name}: {value}" in ran.out


@pytest.mark.parametrize(
    ("more", "reported"),
    [
        (("--policy", "magic"), "'magic' is not a policy; the policies are gyrus, cortex"),
        (("--policy", "fixed:99999"), "is too many replicas"),
        (("--service-time", "soon"), "'soon' is not a time; write for example 120ms"),
        (
            ("--service-time", "column:Size"),
            "trace.csv has no column Size; it has service_time, GeneratedTokens",
        ),
        (("--startup", "column"), "'column' is not a time"),
        (("--price", "cheap"), "'cheap' is not a price"),
        (("--scale", "2"), "'2' is not a share"),
        (("--speed", "fast"), "'fast' is not a factor"),
        (("--first", "0s"), "are left"),
        (("--trace", "none.csv"), "none.csv: cannot be read: No such file"),
        (("--plot", "run.pdf"), "run.pdf is neither an .svg nor a .png file"),
        (("--plot", "nowhere/run.svg"), "run.svg cannot be written: there is no folder nowhere"),
        (("--api", "chatt"), "has no API chatt; it has chat. Did you mean chat?"),
        (("--tune", "--compare"), "--tune cannot be combined with --policy"),
    ],
)
def test_wrong_input_is_one_clear_error(
    gyrus: Gyrus, folder: Path, more: tuple[str, ...], reported: str
) -> None:
    ran = gyrus(*arguments(folder, *more))
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: ")
    assert reported in ran.err


def test_several_apis_are_listed(gyrus: Gyrus, folder: Path) -> None:
    yaml = folder / "gyrus.yaml"
    yaml.write_text(yaml.read_text() + yaml.read_text().replace("chat", "code"))
    ran = gyrus(*arguments(folder, "--policy", "fixed:2"))
    assert ran.code == 2
    assert f"{yaml} has several APIs: chat, code." in ran.err
    assert (
        gyrus(*arguments(folder, "--policy", "fixed:2", "--api", "code"))
        .out.splitlines()[0]
        .endswith("for code")
    )


def test_without_a_renderer_a_png_is_refused_at_once(
    gyrus: Gyrus, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "RENDERERS", {"no-such-program": ("{svg}", "{png}")})
    ran = gyrus(*arguments(folder, "--plot", "run.png"))
    assert ran.code == 2
    assert "A PNG needs one of these programs, and none is installed: no-such-program." in ran.err
    assert "--plot run.svg" in ran.err


@pytest.mark.processes
def test_a_renderer_makes_the_png_or_its_words_are_shown(
    gyrus: Gyrus, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "RENDERERS", {"cp": ("{svg}", "{png}")})
    picture = folder / "run.png"
    assert gyrus(*arguments(folder, "--policy", "kpa", "--plot", picture)).code == 0
    assert picture.read_text().startswith("<svg")
    monkeypatch.setattr(drawing, "RENDERERS", {"cp": ("{svg}.none", "{png}")})
    picture.unlink()
    ran = gyrus(*arguments(folder, "--policy", "kpa", "--plot", picture))
    assert ran.code == 1
    assert "cp failed to render" in ran.err
    assert "cannot stat" in ran.err


def test_the_yaml_s_own_faults_are_reported(gyrus: Gyrus, folder: Path) -> None:
    (folder / "gyrus.yaml").write_text(
        "- {name: chat, kind: RealtimeAPI, handler: {path: handler.py}, timeout: 5}\n"
    )
    ran = gyrus(*arguments(folder))
    assert ran.code == 2
    assert "timeout: 5 has no unit" in ran.err
