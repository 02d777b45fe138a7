"""Whose turn it is: in the plan's order one at a time, or side by side whatever is ready and fits. Pure.

Side by side, the step with the longest chain of steps below it goes first, of equals the first in the plan's order: so
a run is started in the same order every time, and the end of the longest chain does not come last.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping

from frostline.runner.planning.graph import Graph
from frostline.runner.running.budget import Need


class Turns:
    """The steps of one run that have not begun.

    Args:
        order: every step after those it needs.
        needs: what each step takes; None: the order is kept strictly.
    """

    def __init__(self, graph: Graph, order: tuple[str, ...], needs: Mapping[str, Need] | None) -> None:
        self.rank = {name: index for index, name in enumerate(order)}
        self.needs = needs
        self.below: dict[str, list[str]] = {name: [] for name in order}
        self.n_awaited: dict[str, int] = {}  # of the steps that a step needs, how many are open
        for name in order:
            above = [needed for needed in graph.upstream[name] if needed in self.rank]
            self.n_awaited[name] = len(above)
            for needed in above:
                self.below[needed].append(name)
        self.pending = dict.fromkeys(order)
        self.ready: dict[Need, list[tuple[int, int, str]]] = {}  # a heap for each way of needing
        if needs is not None:
            self.height = self._heights(order)
            for name in order:
                if not self.n_awaited[name]:
                    self._enter(name)

    def _heights(self, order: Iterable[str]) -> dict[str, int]:
        """The number of steps in the longest chain that begins with a step."""
        heights: dict[str, int] = {}
        for name in reversed(list(order)):
            heights[name] = 1 + max((heights[other] for other in self.below[name]), default=0)
        return heights

    def _enter(self, name: str) -> None:
        assert self.needs is not None
        entry = (-self.height[name], self.rank[name], name)
        heapq.heappush(self.ready.setdefault(self.needs[name], []), entry)

    def take(self, has_room: Callable[[Need], bool], *, is_idle: bool) -> str | None:
        """The step to begin now; None when none can.

        Args:
            has_room: whether the machine has room for such a step.
            is_idle: whether no step is at work.
        """
        if self.needs is None:
            name = next(iter(self.pending), None) if is_idle else None
            if name is not None:
                del self.pending[name]
            return name
        while True:
            heads = [(heap[0], need) for need, heap in self.ready.items() if heap]
            fitting = [(head, need) for head, need in heads if head[2] not in self.pending or has_room(need)]
            if not fitting:
                return None
            (_, _, name), need = min(fitting)
            heapq.heappop(self.ready[need])
            if name in self.pending:
                del self.pending[name]
                return name

    def put_back(self, name: str) -> None:
        """Let a step that was taken have its turn later."""
        if self.needs is None:
            self.pending = {name: None, **self.pending}
        else:
            self.pending[name] = None
            self._enter(name)

    def settle(self, name: str) -> None:
        """Note that a step is done, or need not be."""
        for other in self.below[name]:
            self.n_awaited[other] -= 1
            if self.needs is not None and not self.n_awaited[other] and other in self.pending:
                self._enter(other)

    def lose(self, name: str) -> list[str]:
        """Note that a step has failed. The open steps that need it, directly or not, which have no turn any more."""
        lost: dict[str, None] = {}
        reached = [name]
        while reached:
            for other in self.below[reached.pop()]:
                if other in self.pending and other not in lost:
                    lost[other] = None
                    reached.append(other)
        for other in lost:
            del self.pending[other]
        return sorted(lost, key=self.rank.__getitem__)

    def give_up(self) -> list[str]:
        """Take the turn of every open step; those steps."""
        left = list(self.pending)
        self.pending.clear()
        return left
