"""deploy/sbc.service says what there is: options, folders, capabilities."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
import typer.main

from sbc import cli, host

ROOT = Path(__file__).parents[3]
UNIT = ROOT / "deploy" / "sbc.service"
GUIDE = (ROOT / "docs" / "operating.md").read_text()
PROGRAM = "/opt/sbc/bin/sbc"
WEAKEST = 20  # tenths of what systemd-analyze calls exposure: from there on it is not "OK" any more

Directives = dict[str, dict[str, list[str]]]


def parsed(text: str) -> Directives:
    """By section and name, in the order they stand there (systemd.syntax(7)): no line is anything else, and none goes on in the next."""
    found: Directives = defaultdict(lambda: defaultdict(list))
    section = ""
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        if heading := re.fullmatch(r"\[(\w+)]", line):
            section = heading[1]
        else:
            directive = re.fullmatch(r"(\w+)=(.*[^\s\\])", line)
            assert directive is not None, line
            assert section, line
            found[section][directive[1]].append(directive[2])
    return found


@pytest.fixture
def service() -> dict[str, list[str]]:
    sections = parsed(UNIT.read_text())
    assert list(sections) == ["Unit", "Service", "Install"]
    return sections["Service"]


def seconds(span: str) -> float:
    number, unit = re.fullmatch(r"(\d+)(s|min)", span).groups()  # type: ignore[union-attr]
    return int(number) * (60 if unit == "min" else 1)


def test_every_command_has_the_options_that_are_named(service: dict[str, list[str]]) -> None:
    (start,), (check, kill) = service["ExecStart"], service["ExecReload"]
    assert kill == "/bin/kill -HUP $MAINPID"
    group = typer.main.get_command(cli._app)
    for line, name in ((start, "run"), (check, "check")):
        program, command, *arguments = shlex.split(line)
        assert (program, command) == (PROGRAM, name)
        context = group.make_context("sbc", [command, *arguments])  # raises what is wrong with the names, not with the values
        subcommand = group.commands[command]  # type: ignore[attr-defined]
        parsed_options = subcommand.make_context(command, arguments, parent=context).params
        assert parsed_options["folder"] == Path("/etc/sbc/policies")


def test_what_it_reads_and_writes_is_where_it_may(service: dict[str, list[str]]) -> None:
    state, configuration = f"/var/lib/{service['StateDirectory'][0]}/", f"/etc/{service['ConfigurationDirectory'][0]}/"
    for line in (*service["ExecStart"], *service["ExecReload"]):
        for word in shlex.split(line)[1:]:
            if word.startswith("/"):
                assert word.startswith((state, configuration)), word
    assert service["StateDirectoryMode"] == ["0700"]
    assert service["ProtectSystem"] == ["strict"]
    for place in (PROGRAM.removesuffix("/bin/sbc"), state.rstrip("/"), f"{configuration}policies", f"{configuration}certs", UNIT.name):
        assert place in GUIDE


def test_one_that_is_restarted_again_and_again_is_left_at_last(service: dict[str, list[str]]) -> None:
    unit = parsed(UNIT.read_text())["Unit"]
    assert service["Restart"] == ["on-failure"]
    assert int(unit["StartLimitBurst"][0]) * seconds(service["RestartSec"][0]) < seconds(unit["StartLimitIntervalSec"][0])


def test_it_may_have_as_many_relays_as_two_addresses_have_ports(service: dict[str, list[str]]) -> None:
    assert int(service["LimitNOFILE"][0]) >= 2 * 65_536 + host.RESERVED


def test_it_has_two_capabilities_and_those_of_xdp_are_in_a_comment(service: dict[str, list[str]]) -> None:
    assert service["CapabilityBoundingSet"] == service["AmbientCapabilities"] == ["CAP_NET_BIND_SERVICE CAP_NET_ADMIN"]
    more = parsed("[Service]\n" + "\n".join(re.findall(r"^#   (\w+=.*)$", UNIT.read_text(), re.MULTILINE)))["Service"]
    assert more["AmbientCapabilities"] == more["CapabilityBoundingSet"] == ["CAP_NET_RAW CAP_BPF CAP_PERFMON"]
    assert (more["RestrictAddressFamilies"], more["SystemCallFilter"], more["LimitMEMLOCK"]) == (["AF_XDP"], ["bpf"], ["infinity"])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not on this machine")
def test_systemd_finds_nothing_wrong_with_it_and_little_exposed(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace(PROGRAM, sys.executable))  # it wants to see the program
    verified = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60, check=False)
    about_ours = [line for line in verified.stderr.splitlines() if UNIT.name in line]
    assert about_ours == []
    rated = subprocess.run(
        ["systemd-analyze", "security", "--no-pager", "--offline=true", f"--threshold={WEAKEST}", unit],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert rated.returncode == 0, rated.stdout + rated.stderr
