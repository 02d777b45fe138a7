"""Charts as SVG text: no library, no script, no network, and colours that follow the page's light or dark theme.

Series are told apart by a colour-blind-safe colour (Okabe and Ito 2008), a dash pattern and a label at the line's
end. Series that coincide are drawn once and labelled together, because that they coincide is what the reader is to see.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

HEIGHT = 340.0
LEFT, TOP, BOTTOM = 46.0, 14.0, 40.0
LABEL_GAP = 17.0
GLYPH = 7.7  # width of a label's character in a wide font
N_COLOURS = 6
FEW_POINTS = 8  # up to here each evaluation has a mark; a line through one would not be seen at all
POINT, RING = 3, 2  # radius of a mark, and how much wider each one below it is
DASHES = ("", "7 4", "2 4", "9 3 2 3")

Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line: points by rising x. colour: a number, the same for a variant in every chart."""

    name: str
    colour: int
    points: Points
    band: tuple[tuple[float, float, float], ...] = ()  # x, lowest, highest over seeds
    best: tuple[float, float] | None = None  # the point whose model was kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """A stretch of numbers and where it lies on the drawing."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def at(self, value: float) -> float:
        """Place of a value, in drawing units."""
        if self.is_log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def nice_ticks(low: float, high: float, *, n_wanted: int = 5) -> list[float]:
    """Round numbers that span low to high, about n_wanted of them; at least two."""
    if high - low < 1e-12:
        low, high = low - 0.5, high + 0.5
    raw = (high - low) / n_wanted
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 10) for number in range(first, max(last, first + 1) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2, 5 times powers of ten, from at most `low` to at least `high`."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [factor * 10.0**exponent for exponent in exponents for factor in (1, 2, 5)]
    first = max((i for i, tick in enumerate(ticks) if tick <= low * 1.0001), default=0)
    last = min((i for i, tick in enumerate(ticks) if tick >= high * 0.9999), default=len(ticks) - 1)
    return ticks[first : max(last, first + 1) + 1]


def line_chart(series: Sequence[Series], *, width: float, x_title: str, y_title: str, title: str) -> str:
    """Lines with labels at their ends, as one <svg>; an empty text when there is nothing to draw."""
    drawn = [one for one in series if one.points]
    if not drawn:
        return ""
    groups = _coinciding(drawn)
    labels = [_label(group) for group in groups]
    right = width - 14 - max(GLYPH * len(line) for lines in labels for line in lines) - 12
    xs = [x for one in drawn for x, _ in one.points]
    ys = [y for one in drawn for _, y in one.points] + [y for one in drawn for _, *pair in one.band for y in pair]
    y_ticks = nice_ticks(min(ys), max(ys))
    x_ticks = [tick for tick in nice_ticks(0, max(xs)) if tick <= max(xs) * 1.001] or [0.0]
    x_axis = Axis(low=0.0, high=max(max(xs), 1e-9), start=LEFT, end=right)
    y_axis = Axis(low=y_ticks[0], high=y_ticks[-1], start=HEIGHT - BOTTOM, end=TOP)
    body = _frame(x_axis, y_axis, x_ticks, y_ticks, x_title=x_title, y_title=y_title)
    for group in reversed(groups):
        body += _line(group, x_axis, y_axis)
    ends = [y_axis.at(group[0].points[-1][1]) for group in groups]
    for group, lines, end, place in zip(groups, labels, ends, _spread(ends, labels), strict=True):
        x_end = x_axis.at(group[0].points[-1][0])
        body += _end_label(group[0].colour, lines, x_end, end, right, place)
    return _svg(body, width, title)


def scatter_chart(
    places: Sequence[tuple[str, int, float, float]], *, width: float, x_title: str, y_title: str, title: str
) -> str:
    """Named dots (name, colour, x, y) over a logarithmic x; an empty text when fewer than two can be drawn."""
    drawn = [place for place in places if place[2] > 0]
    if len(drawn) < 2:
        return ""
    x_ticks = log_ticks(min(p[2] for p in drawn) * 0.9, max(p[2] for p in drawn) * 1.1)
    y_ticks = nice_ticks(min(p[3] for p in drawn), max(p[3] for p in drawn))
    x_axis = Axis(low=x_ticks[0], high=x_ticks[-1], start=LEFT, end=width - 24, is_log=True)
    y_axis = Axis(low=y_ticks[0], high=y_ticks[-1], start=HEIGHT - BOTTOM, end=TOP + 6)
    body = _frame(x_axis, y_axis, x_ticks, y_ticks, x_title=x_title, y_title=y_title)
    dots = [(x_axis.at(x), y_axis.at(y)) for _, _, x, y in drawn]
    taken: list[tuple[float, float, float, float]] = [(x - 7, y - 7, x + 7, y + 7) for x, y in dots]
    for (name, colour, x, y), (left, top) in sorted(zip(drawn, dots, strict=True), key=lambda item: item[1]):
        box, anchor = _free_place(left, top, GLYPH * len(name), width, taken)
        taken.append(box)
        text_x = box[0] if anchor == "start" else box[2] if anchor == "end" else (box[0] + box[2]) / 2
        body += [
            f'<circle class="dot k{colour % N_COLOURS}" cx="{left:.1f}" cy="{top:.1f}" r="6">'
            f"<title>{escape(name)}: {_number(x)}, {y:.2f}</title></circle>",
            f'<text class="name t{colour % N_COLOURS}" x="{text_x:.1f}" y="{box[1] + 11:.1f}" '
            f'text-anchor="{anchor}">{escape(name)}</text>',
        ]
    return _svg(body, width, title)


def _svg(body: Sequence[str], width: float, title: str) -> str:
    size = f'viewBox="0 0 {width:.0f} {HEIGHT:.0f}" style="min-width:{0.9 * width:.0f}px"'
    head = f'<svg class="chart" {size} role="img" aria-label="{escape(title)}">'
    return "\n".join([head, *body, "</svg>"])


def _frame(
    x_axis: Axis, y_axis: Axis, x_ticks: Sequence[float], y_ticks: Sequence[float], *, x_title: str, y_title: str
) -> list[str]:
    body = []
    for tick in y_ticks:
        y = y_axis.at(tick)
        body.append(f'<line class="grid" x1="{LEFT}" x2="{x_axis.end:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        body.append(f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_number(tick)}</text>')
    base = HEIGHT - BOTTOM
    for tick in x_ticks:
        x = x_axis.at(tick)
        body.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{base}" y2="{base + 4}"/>')
        body.append(f'<text class="tick" x="{x:.1f}" y="{base + 18}" text-anchor="middle">{_number(tick)}</text>')
    body.append(f'<line class="axis" x1="{LEFT}" x2="{x_axis.end:.1f}" y1="{base}" y2="{base}"/>')
    body.append(f'<text class="tick" x="{x_axis.end:.1f}" y="{HEIGHT - 5}" text-anchor="end">{escape(x_title)}</text>')
    body.append(f'<text class="tick" x="{LEFT}" y="{HEIGHT - 5}">{escape(y_title)}</text>')
    return body


def _line(group: Sequence[Series], x_axis: Axis, y_axis: Axis) -> list[str]:
    first = group[0]
    body = []
    if first.band:
        upper = [f"{x_axis.at(x):.1f},{y_axis.at(high):.1f}" for x, _, high in first.band]
        lower = [f"{x_axis.at(x):.1f},{y_axis.at(low):.1f}" for x, low, _ in reversed(first.band)]
        body.append(f'<polygon class="band k{first.colour % N_COLOURS}" points="{" ".join(upper + lower)}"/>')
        if len(first.band) == 1:  # a polygon without width would not be seen
            (step, low, high), colour = first.band[0], first.colour % N_COLOURS
            place, top, bottom = x_axis.at(step), y_axis.at(high), y_axis.at(low)
            body.append(
                f'<line class="range s{colour}" x1="{place:.1f}" x2="{place:.1f}" y1="{bottom:.1f}" y2="{top:.1f}"/>'
            )
    places = " ".join(f"{x_axis.at(x):.1f},{y_axis.at(y):.1f}" for x, y in first.points)
    for number, one in enumerate(
        group if len(first.points) > 1 else ()
    ):  # coinciding lines: dashes of each colour, one after another
        dash = f' stroke-dasharray="10 {10 * (len(group) - 1)}" stroke-dashoffset="{-10 * number}"'
        own = DASHES[one.colour // N_COLOURS % len(DASHES)]
        style = dash if len(group) > 1 else f' stroke-dasharray="{own}"' if own else ""
        body.append(
            f'<polyline class="line s{one.colour % N_COLOURS}" points="{places}"{style}>'
            f"<title>{escape(one.name)}</title></polyline>"
        )
    if len(first.points) <= FEW_POINTS:
        body += _marks(group, x_axis, y_axis)
    if first.best is not None:
        x, y = x_axis.at(first.best[0]), y_axis.at(first.best[1])
        body.append(
            f'<circle class="best k{first.colour % N_COLOURS}" cx="{x:.1f}" cy="{y:.1f}" r="6.5">'
            f"<title>{escape(first.name)}: best, {first.best[1]:.2f} at step {first.best[0]:.0f}</title></circle>"
        )
    return body


def _marks(group: Sequence[Series], x_axis: Axis, y_axis: Axis) -> list[str]:
    """A dot at each point; those of coinciding series stand as rings around the first one's."""
    return [
        f'<circle class="point k{one.colour % N_COLOURS}" cx="{x_axis.at(x):.1f}" cy="{y_axis.at(y):.1f}" '
        f'r="{POINT + RING * number}"><title>{escape(one.name)}: {y:.2f} at step {x:.0f}</title></circle>'
        for number, one in reversed(list(enumerate(group)))
        for x, y in one.points
    ]


def _coinciding(series: Sequence[Series]) -> list[list[Series]]:
    groups: dict[Points, list[Series]] = {}
    for one in series:
        groups.setdefault(one.points, []).append(one)
    return list(groups.values())


def _label(group: Sequence[Series]) -> list[str]:
    """The lines of a label: the names, those after the first led by '='."""
    return [one.name if number == 0 else f"= {one.name}" for number, one in enumerate(group)]


def _spread(ends: Sequence[float], labels: Sequence[list[str]]) -> list[float]:
    """Places of labels near their lines' ends, pushed apart so that none covers another."""
    order = sorted(range(len(ends)), key=lambda i: ends[i])
    places = list(ends)
    lowest = TOP
    for i in order:
        places[i] = max(ends[i], lowest)
        lowest = places[i] + LABEL_GAP * len(labels[i])
    limit = HEIGHT - BOTTOM + 4
    for i in reversed(order):
        places[i] = min(places[i], limit - LABEL_GAP * (len(labels[i]) - 1))
        limit = places[i] - LABEL_GAP
    return places


def _end_label(colour: int, lines: Sequence[str], x: float, y: float, right: float, place: float) -> list[str]:
    class_ = f"t{colour % N_COLOURS}"
    body = [f'<path class="leader" d="M{x + 3:.1f} {y:.1f} L{right + 6:.1f} {place:.1f}"/>']
    for number, text in enumerate(lines):
        top = place + 4 + LABEL_GAP * number
        body.append(f'<text class="name {class_}" x="{right + 10:.1f}" y="{top:.1f}">{escape(text)}</text>')
    return body


def _free_place(
    x: float, y: float, width: float, page_width: float, taken: Sequence[tuple[float, float, float, float]]
) -> tuple[tuple[float, float, float, float], str]:
    """A box for a dot's name that covers nothing drawn so far, as far as one can be had, and its text anchor."""
    options = [
        ((x + 11, y - 8, x + 11 + width, y + 8), "start"),
        ((x - 11 - width, y - 8, x - 11, y + 8), "end"),
        ((x - width / 2, y - 26, x + width / 2, y - 10), "middle"),
        ((x - width / 2, y + 10, x + width / 2, y + 26), "middle"),
        ((x + 8, y - 24, x + 8 + width, y - 8), "start"),
        ((x - 8 - width, y - 24, x - 8, y - 8), "end"),
        ((x + 8, y + 8, x + 8 + width, y + 24), "start"),
        ((x - 8 - width, y + 8, x - 8, y + 24), "end"),
    ]
    inside = [option for option in options if option[0][0] > LEFT and option[0][2] < page_width and option[0][1] > 0]

    def covered(option: tuple[tuple[float, float, float, float], str]) -> float:
        a = option[0]
        return sum(
            max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1])) for b in taken
        )

    return min(inside or options, key=covered)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"
