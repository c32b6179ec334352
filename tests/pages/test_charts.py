"""Charts are laid out by plain arithmetic: ticks are round, and points lie between them."""

import pytest

from fieldguide.pages.charts import HEIGHT, WIDTH, Line, line_chart, nice_ticks


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.84, 0.924, [0.84, 0.86, 0.88, 0.9, 0.92, 0.94]),
        (0.0, 1.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (1, 12, [0, 5, 10, 15]),
        (3.0, 3.0, [3.0, 3.001]),
        (-0.3, 0.2, [-0.3, -0.2, -0.1, 0.0, 0.1, 0.2]),
    ],
)
def test_ticks_are_round_numbers_around_all_values(low, high, expected):
    ticks = nice_ticks(low, high)
    assert ticks == pytest.approx(expected)
    assert ticks[0] <= low and ticks[-1] >= high


def test_a_chart_lies_in_its_frame_and_grows_upwards():
    chart = line_chart(
        [Line("a", [(1, 0.5), (2, 0.7), (3, 0.6)], "red"), Line("b", [(3, 0.6)], "red", is_dashed=True)],
        title="right",
        x_label="epoch",
        is_share=True,
    )
    points = chart["lines"][0]["points"]
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert points[1][1] < points[2][1] < points[0][1], "more is higher, and y grows downwards"
    assert all(0 < x < WIDTH and 0 < y < HEIGHT for line in chart["lines"] for x, y in line["points"])
    assert [tick["text"] for tick in chart["y_ticks"]] == ["50 %", "55 %", "60 %", "65 %", "70 %"]
    assert [tick["text"] for tick in chart["x_ticks"]] == ["1", "1.5", "2", "2.5", "3"]
    assert chart["lines"][1]["is_dashed"]


def test_factors_lie_at_equal_distances():
    chart = line_chart([Line("a", [(100, 1), (200, 2), (400, 3)], "red")], title="", x_label="", is_log=True)
    (x1, _), (x2, _), (x3, _) = chart["lines"][0]["points"]
    assert x2 - x1 == pytest.approx(x3 - x2, abs=0.2)
    assert [tick["text"] for tick in chart["x_ticks"]] == ["100", "200", "400"]


def test_a_single_point_lies_in_the_middle():
    chart = line_chart([Line("a", [(7, 0.3)], "red")], title="", x_label="")
    ((x, _),) = chart["lines"][0]["points"]
    assert 150 < x < 300
