from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from sbc import host
from sbc.policy.load import load_policy

POLICY = """\
version: 1
realms:
  outside: {signalling: [udp://127.0.0.2:5060], relay: {address: 127.0.0.2, ports: 20000-20999}}
  inside: {signalling: [udp://127.0.0.3:5060], relay: {address: 127.0.0.3, ports: 20000-20999}}
emergency: {outside: none, inside: none}
"""
PORTS = 2 * 1_000


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    (tmp_path / "sbc.yaml").write_text(POLICY)
    return tmp_path


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The hard one."""
    limit = [0]
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1_024, limit[0]))
    return limit


def test_the_limit_is_as_high_as_allowed() -> None:
    host.raise_limit()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert soft == hard


@pytest.mark.parametrize("enough", [PORTS + host.RESERVED, resource.RLIM_INFINITY])
def test_nothing_is_said_where_they_are_enough(limit: list[int], policies: Path, enough: int) -> None:
    limit[0] = enough
    assert host.shortage(load_policy(policies).snapshot) == ""


def test_a_shortage_is_told_in_calls(limit: list[int], policies: Path) -> None:
    limit[0] = PORTS + host.RESERVED - 1
    assert host.shortage(load_policy(policies).snapshot) == (
        "2,000 media ports, each a file descriptor, and this process may have 2,999: some 499 calls at a time,"
        " double with rtcp-mux; raise LimitNOFILE= of its unit (or `ulimit -Hn`)"
    )


def test_check_warns_of_it(policies: Path) -> None:
    command = f"ulimit -n 1500 && exec {sys.executable} -m sbc check {policies}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert "this process may have 1,500: some 125 calls at a time" in done.stderr


@pytest.mark.interpreted
@pytest.mark.parametrize(
    ("transport", "setting", "told"),
    [("udp", "0", False), ("tcp", "0", True), ("tcp", "1", False), ("tcp", "2", False), ("tcp", None, False)],
)
def test_OVL_05_who_turned_syn_cookies_off_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, transport: str, setting: str | None, told: bool
) -> None:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "sbc.yaml").write_text(POLICY.replace("udp://127.0.0.2", f"{transport}://127.0.0.2"))
    kernel = tmp_path / "tcp_syncookies"
    if setting is not None:
        kernel.write_text(f"{setting}\n")
    monkeypatch.setattr(host, "SYN_COOKIES", kernel)
    concerns = host.concerns(load_policy(folder).snapshot)
    assert [concern for concern in concerns if "tcp_syncookies is 0" in concern] == concerns
    assert bool(concerns) == told
