"""The picture of an overload is a picture."""

from __future__ import annotations

from xml.dom.minidom import parseString

from tests.bench.overload_picture import HEIGHT, WIDTH, Point, picture


def test_every_point_is_where_it_belongs() -> None:
    drawn = parseString(picture([Point(0.5, 0.5), Point(3, 1), Point(10, 0.75)]))
    places = [(float(circle.getAttribute("cx")), float(circle.getAttribute("cy"))) for circle in drawn.getElementsByTagName("circle")]
    assert len(places) == 3
    assert all(0 < x <= WIDTH and 0 < y < HEIGHT for x, y in places)
    (x1, y1), (x2, y2), (x3, y3) = places
    assert x1 < x2 < x3
    assert y2 < y3 < y1, "more is higher"
