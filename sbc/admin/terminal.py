"""`sbc calls` and its like: ask once, or again and again."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path

import typer
from rich.live import Live

from sbc.admin import shown
from sbc.admin.client import ask

EVERY = 2.0  # seconds between looks


def show(path: Path, question: dict[str, object], *, as_json: bool, watch: bool) -> None:
    """Print the answer; `watch`: until Ctrl-C, with `as_json` a line each time. Raises ConfigError."""
    with suppress(KeyboardInterrupt):
        if as_json:
            _print(path, question, watch=watch)
        else:
            _draw(path, question, watch=watch)


def _print(path: Path, question: dict[str, object], *, watch: bool) -> None:
    typer.echo(json.dumps(ask(path, question), ensure_ascii=False))
    while watch:
        time.sleep(EVERY)
        typer.echo(json.dumps(ask(path, question), ensure_ascii=False))


def _draw(path: Path, question: dict[str, object], *, watch: bool) -> None:
    screen, table = shown.console(), shown.TABLES[str(question["ask"])]
    if not watch:
        screen.print(table(ask(path, question)))
        return
    with Live(table(ask(path, question)), console=screen, screen=screen.is_terminal, auto_refresh=False) as live:
        while True:
            time.sleep(EVERY)
            live.update(table(ask(path, question)), refresh=True)
