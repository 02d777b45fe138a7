"""Pictures of graphs: nothing overlaps, every edge goes from left to right, and the SVG is well-formed."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frostline.runner.furnishing.drawing import Node, as_mermaid, as_svg, without_implied
from frostline.runner.furnishing.layout import lay_out
from frostline.runner.planning.plan import Action

from .conftest import Playground


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, Node]:
    """Graphs without circles: a node needs nodes before it only."""
    nodes: dict[str, Node] = {}
    for index in range(draw(st.integers(0, 14))):
        names = st.lists(st.sampled_from(sorted(nodes)), unique=True, max_size=4) if nodes else st.just([])
        nodes[f"step-{index}"] = Node(draw(st.sampled_from(Action)), tuple(draw(names)))
    return nodes


@given(graphs())
def test_boxes_keep_apart_and_edges_go_right(nodes: dict[str, Node]) -> None:
    layout = lay_out({name: node.needs for name, node in nodes.items()})

    column_of = {name: index for index, column in enumerate(layout.columns) for name in column}
    assert set(column_of) == set(nodes)
    for column in layout.columns:
        for one, other in combinations(column, 2):
            assert abs(layout.heights[one] - layout.heights[other]) >= 0.999
    for (source, target), path in layout.paths.items():
        assert source in nodes[target].needs
        assert [column for column, _ in path] == list(range(column_of[source], column_of[target] + 1))
        assert path[0][1] == layout.heights[source] and path[-1][1] == layout.heights[target]
        for column, height in path[1:-1]:
            assert all(abs(height - layout.heights[name]) > 0.7 for name in layout.columns[column])


@given(graphs())
def test_edges_are_left_out_only_where_another_way_leads_there(nodes: dict[str, Node]) -> None:
    def reach(given: dict[str, Node], name: str) -> set[str]:
        return {far for other in given[name].needs for far in (other, *reach(given, other))}

    kept = without_implied(nodes)

    for name in nodes:
        assert reach(kept, name) == reach(nodes, name)
        for other in kept[name].needs:
            assert not any(other in reach(kept, between) for between in kept[name].needs)


@given(graphs())
def test_the_picture_is_well_formed_and_everything_lies_in_it(nodes: dict[str, Node]) -> None:
    picture = ET.fromstring(as_svg(nodes, "A & B <c>"))

    width, height = float(picture.attrib["width"]), float(picture.attrib["height"])
    boxes = list(picture.iter("{http://www.w3.org/2000/svg}rect"))
    assert len(boxes) == len(nodes) + 4  # the ground, and the legend
    for box in boxes[1:]:
        x, y = float(box.attrib["x"]), float(box.attrib["y"])
        assert x >= 0 and y >= 0
        assert x + float(box.attrib["width"]) <= width and y + float(box.attrib["height"]) <= height


def test_a_circle_is_drawn_too() -> None:
    nodes = {"a": Node(Action.RUN, ("b",)), "b": Node(Action.RUN, ("a",)), "c": Node(Action.SKIP, ("b",))}

    assert as_svg(nodes).count("<text") == 3 + 3
    assert without_implied(nodes).keys() == nodes.keys()


def test_names_that_mermaid_takes_for_its_own_are_changed() -> None:
    said = as_mermaid({"end": Node(Action.RUN, ()), "a b": Node(Action.SKIP, ("end",), 3)})

    assert said.splitlines()[1:4] == ['    end_["end"]', '    a-b["a b × 3"]', "    end_ --> a-b"]


def test_the_form_follows_the_files_name(chain: Playground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(chain.root)
    chain.project("graph", "-o", "g.svg")
    chain.project("graph", "-o", "g.mmd")
    chain.project("graph", "-o", "g.md", "--format", "mermaid")

    assert re.search(r">third</text>", chain.read("g.svg"))
    assert chain.read("g.mmd") == chain.read("g.md")
    assert chain.read("g.mmd").startswith("flowchart TD\n")
