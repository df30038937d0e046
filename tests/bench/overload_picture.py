"""The curve of an overload as SVG: offered against served, both to what can be done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 640, 320
LEFT, TOP, RIGHT, BOTTOM = 60, 20, 20, 50
MOST_OFFERED, MOST_SERVED = 10.0, 1.25


class Point(NamedTuple):
    offered: float
    served: float


def picture(points: Sequence[Point]) -> str:
    ideal = (Point(0, 0), Point(1, 1), Point(MOST_OFFERED, 1))
    rows = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        *(_mark_below(number) for number in range(int(MOST_OFFERED) + 1)),
        *(_mark_left(number / 4) for number in range(int(MOST_SERVED * 4) + 1)),
        f'<polyline points="{_path(ideal)}" fill="none" stroke="#999" stroke-dasharray="4 4"/>',
        f'<polyline points="{_path(points)}" fill="none" stroke="#0057b8" stroke-width="2"/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#0057b8"/>' for x, y in map(_place, points)),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, "middle", "calls offered, to what one core can serve"),
        _text(LEFT, TOP - 6, "start", "calls served, to the most one core did"),
        "</svg>",
    ]
    return "\n".join(rows) + "\n"


def _place(point: Point) -> tuple[float, float]:
    across = (WIDTH - LEFT - RIGHT) * point.offered / MOST_OFFERED
    up = (HEIGHT - TOP - BOTTOM) * point.served / MOST_SERVED
    return LEFT + across, HEIGHT - BOTTOM - up


def _path(points: Sequence[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in map(_place, points))


def _mark_below(offered: float) -> str:
    x, y = _place(Point(offered, 0))
    return _line(x, y, x, TOP) + _text(x, y + 18, "middle", f"{offered:g} x")


def _mark_left(served: float) -> str:
    x, y = _place(Point(0, served))
    return _line(x, y, WIDTH - RIGHT, y) + _text(x - 8, y + 4, "end", f"{100 * served:.0f} %")


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#e5e5e5"/>'


def _text(x: float, y: float, anchor: str, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'
