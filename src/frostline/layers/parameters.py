"""All parameters of a pipeline in a few flat buffers, which torch modules and Thinc layers view.

One buffer per (component, decays or not, moves or not, type): one optimizer, one gradient reduction and one
serialisation then serve both libraries, and averages are swapped in with a handful of copies. The buffers live as
long as the store; modules and layers keep their own names and shapes. What moves is decided by `requires_grad`
(modules) or `attrs["frozen"]` (Thinc nodes); who sets those, and the optimizer, are others' business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from thinc.util import torch2xp, xp2torch

from frostline.layers.reindexing import Reindexing, reindexed

ThincModel: TypeAlias = Any  # thinc.api.Model, which comes without types
Identity: TypeAlias = int | tuple[int, str]  # id of a torch parameter, or id of a Thinc node and the name there
Changes: TypeAlias = Mapping[Identity, tuple[Reindexing, ...]]

STAGE_ATTRIBUTE = "frostline_stage"  # of a parameter that is unfrozen later: the name of its stage
ALIGNMENT_BYTES = 64  # a cache line, and the width of an AVX-512 register


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One parameter's place in the flat buffer of its group."""

    name: str  # unique within the component
    offset: int  # in elements, a multiple of ALIGNMENT_BYTES
    shape: tuple[int, ...]

    @property
    def n_values(self) -> int:
        """How many values the parameter has; 1 for a scalar."""
        return int(torch.Size(self.shape).numel())

    def view(self, buffer: torch.Tensor) -> torch.Tensor:
        """The parameter's part of a flat buffer, in its own shape."""
        return buffer[self.offset : self.offset + self.n_values].view(self.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterGroup:
    """Parameters of one component that are treated alike, side by side in memory.

    values: (n,) float32 (frozen parameters keep their own type). gradients: (n,) float32, or None where nothing
    moves; every parameter's gradient is a view of it. The padding between parameters is 0 and stays 0.
    """

    name: str
    component: str
    decays: bool  # False for biases and norms: parameters with fewer than two dimensions
    trainable: bool
    values: torch.Tensor
    gradients: torch.Tensor | None
    entries: tuple[Entry, ...]
    stage: str = ""  # of gradual unfreezing: stands still for a while, moves later

    @property
    def may_move(self) -> bool:
        """Whether the group moves now or in another part of the run, so that a checkpoint must hold it."""
        return self.trainable or bool(self.stage)

    @property
    def n_parameters(self) -> int:
        """Values without the padding."""
        return sum(entry.n_values for entry in self.entries)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A parameter where its owner keeps it, before it moves into a buffer."""

    component: str
    name: str
    values: torch.Tensor
    trainable: bool
    parameter: torch.nn.Parameter | None = None  # of a torch module, else:
    node: ThincModel | None = None  # of a Thinc layer, with
    key: str = ""  # its name there
    stage: str = ""

    @property
    def identity(self) -> Identity:
        """What a parameter is known by, whatever its name and shape."""
        return id(self.parameter) if self.parameter is not None else (id(self.node), self.key)


Owner: TypeAlias = torch.nn.Module | ThincModel


@dataclass(slots=True, kw_only=True)
class ParameterStore:
    """Every parameter of a pipeline, by group. Make one with `gather`."""

    owners: tuple[tuple[str, Owner], ...]
    device: torch.device
    groups: tuple[ParameterGroup, ...]
    version: int = 0  # grows with each refresh, so that an optimizer notices new buffers
    resting: frozenset[str] = frozenset()  # components that nothing teaches in this step: they stand still in it
    _by_name: dict[str, ParameterGroup] = field(default_factory=dict)
    _reshapings: dict[int, dict[tuple[str, str], tuple[Reindexing, ...]]] = field(default_factory=dict)  # by version

    @classmethod
    def gather(cls, owners: Sequence[tuple[str, Owner]], *, device: torch.device | str = "cpu") -> ParameterStore:
        """Move every float parameter of the owners into flat buffers on `device`, and let the owners view them.

        Args:
            owners: component names with their torch module or Thinc model; a parameter that two owners share
                belongs to the first. Thinc parameters that have no value yet are left out: initialise first.
        Raises:
            ValueError: a component has two parameters of one name, or a trainable parameter is not float32.
        """
        place = torch.device(device)
        store = cls(owners=tuple(owners), device=place, groups=())
        store._set_groups(_build_groups(store.owners, place))
        return store

    @property
    def n_parameters(self) -> int:
        """Values of all groups, frozen ones too."""
        return sum(group.n_parameters for group in self.groups)

    @property
    def n_trainable(self) -> int:
        """Values that an optimizer may move."""
        return sum(group.n_parameters for group in self.groups if group.trainable)

    @property
    def trainable_groups(self) -> tuple[ParameterGroup, ...]:
        """The groups that an optimizer may move, in order."""
        return tuple(group for group in self.groups if group.trainable)

    @property
    def movable_groups(self) -> tuple[ParameterGroup, ...]:
        """The groups that move at some time of the run, in order."""
        return tuple(group for group in self.groups if group.may_move)

    @property
    def named_values(self) -> dict[str, torch.Tensor]:
        """Every parameter as a view, in its shape, under `component/name`."""
        return {
            f"{group.component}/{entry.name}": entry.view(group.values)
            for group in self.groups
            for entry in group.entries
        }

    @property
    def named_gradients(self) -> dict[str, torch.Tensor]:
        """The gradient of every parameter that moves as a view, in its shape, under `component/name`."""
        return {
            f"{group.component}/{entry.name}": entry.view(group.gradients)
            for group in self.groups
            if group.gradients is not None
            for entry in group.entries
        }

    def group(self, name: str) -> ParameterGroup:
        """The group of that name; KeyError when there is none."""
        return self._by_name[name]

    def zero_gradients(self) -> None:
        """Set every gradient to 0 in place."""
        for group in self.groups:
            if group.gradients is not None:
                group.gradients.zero_()

    def norm_of_gradients(self) -> float:
        """The Euclidean norm of all gradients together; nan or inf when one of them is."""
        norms = [torch.linalg.vector_norm(g.gradients) for g in self.groups if g.gradients is not None]
        if not norms:
            return 0.0
        return float(torch.linalg.vector_norm(torch.stack(norms)))

    @contextmanager
    def use(self, values: Mapping[str, torch.Tensor]) -> Iterator[None]:
        """Put other values (group name → flat tensor) in for the block, then the ones that were there back.

        Blocks may be nested, and what was there returns after an exception too, and where the parameters were sorted
        or resized in between: each that is still there gets its own values back. KeyError names an unknown group,
        ValueError values of another shape; nothing has changed then.
        """
        version, groups = self.version, [self._by_name[name] for name in values]
        for group in groups:
            given, own = tuple(values[group.name].shape), tuple(group.values.shape)
            if given != own:  # torch would spread a single number over the whole group
                raise ValueError(f"the values for the group '{group.name}' have shape {given}, but must have {own}")
        kept = [group.values.clone() for group in groups]
        try:
            for name, tensor in values.items():
                self._by_name[name].values.copy_(tensor)
            yield
        finally:
            if self.version == version:
                for group, tensor in zip(groups, kept, strict=True):
                    group.values.copy_(tensor)
            else:
                self._restore(groups, kept, since=version)

    def _restore(self, groups: Sequence[ParameterGroup], kept: Sequence[torch.Tensor], *, since: int) -> None:
        """Give the parameters of groups of an earlier version the values that they had there."""
        there = self.named_values
        for group, tensor in zip(groups, kept, strict=True):
            for entry in group.entries:
                values = there.get(f"{group.component}/{entry.name}")
                if values is not None:
                    own = self.carried(group.component, entry.name, entry.view(tensor), since=since)
                    copy_common(own, values)

    def refresh(self, changes: Changes | None = None) -> None:
        """Sort the parameters into groups again, after something was frozen, unfrozen, resized or added.

        Values stay, gradients start at 0. The buffers are new: hold no view of the old ones.

        Args:
            changes: what resizing.py says of the parameters that have another shape now.
        """
        by_name: dict[tuple[str, str], tuple[Reindexing, ...]] = {}
        for found in _find_all(self.owners):
            steps = (changes or {}).get(found.identity)
            if steps:
                by_name[found.component, found.name] = steps
        self._set_groups(_build_groups(self.owners, self.device))
        self.version += 1
        self._reshapings[self.version] = by_name

    def carried(self, component: str, name: str, values: torch.Tensor, *, since: int) -> torch.Tensor:
        """Numbers that belong to a parameter, such as its moments, brought from its shape at a version to today's."""
        for version in range(since + 1, self.version + 1):
            values = reindexed(values, self._reshapings.get(version, {}).get((component, name), ()))
        return values

    def _set_groups(self, groups: tuple[ParameterGroup, ...]) -> None:
        self.groups = groups
        self._by_name = {group.name: group for group in groups}


def _build_groups(owners: Sequence[tuple[str, Owner]], device: torch.device) -> tuple[ParameterGroup, ...]:
    sorted_in: dict[str, list[_Found]] = {}
    for found in _find_all(owners):
        sorted_in.setdefault(_group_name(found), []).append(found)
    for name, members in list(sorted_in.items()):
        still = [found for found in members if not found.trainable]
        if 0 < len(still) < len(members):  # a stage that moves, less what a block of code holds still in it
            sorted_in[name] = [found for found in members if found.trainable]
            sorted_in[f"{name}/still"] = still
    groups = tuple(_build_group(name, members, device) for name, members in sorted_in.items())
    for _, owner in owners:
        for module in _modules_of(owner):
            for buffer in module.buffers():
                buffer.data = buffer.data.to(device)
    return groups


def _group_name(found: _Found) -> str:
    parts = [found.component, "weights" if found.values.ndim >= 2 else "biases"]
    if found.stage:  # a group of its own from the start, so that it is the same buffer before and after
        parts.append(found.stage)
    elif not found.trainable:
        parts.append("frozen")
        if found.values.dtype != torch.float32:
            parts.append(str(found.values.dtype).removeprefix("torch."))
    return "/".join(parts)


def _build_group(name: str, members: Sequence[_Found], device: torch.device) -> ParameterGroup:
    first = members[0]
    step = ALIGNMENT_BYTES // first.values.element_size()
    entries, offset = [], 0
    for found in members:
        entry = Entry(name=found.name, offset=offset, shape=tuple(found.values.shape))
        entries.append(entry)
        offset += -(-entry.n_values // step) * step
    values = torch.zeros(offset, dtype=first.values.dtype, device=device)
    gradients = torch.zeros_like(values) if first.trainable else None
    for found, entry in zip(members, entries, strict=True):
        entry.view(values).copy_(found.values)
        _attach(found, entry.view(values), None if gradients is None else entry.view(gradients))
    return ParameterGroup(
        name=name, component=first.component, decays=first.values.ndim >= 2, trainable=first.trainable,
        values=values, gradients=gradients, entries=tuple(entries), stage=first.stage,
    )  # fmt: skip


def _attach(found: _Found, values: torch.Tensor, gradient: torch.Tensor | None) -> None:
    if found.parameter is not None:
        found.parameter.grad = None  # it may be of another device or type than the new values
        found.parameter.data = values
        found.parameter.grad = gradient
    elif found.node is not None:
        found.node.set_param(found.key, torch2xp(values))
        if gradient is not None:
            found.node.set_grad(found.key, torch2xp(gradient))


def _find_all(owners: Sequence[tuple[str, Owner]]) -> Iterator[_Found]:
    seen: set[object] = set()
    names: set[tuple[str, str]] = set()
    for component, owner in owners:
        for found in _find(component, owner):
            if found.identity in seen or not found.values.is_floating_point():
                continue
            seen.add(found.identity)
            if (component, found.name) in names:
                raise ValueError(f"component '{component}' has two parameters named '{found.name}'")
            if (found.trainable or found.stage) and found.values.dtype != torch.float32:
                raise ValueError(f"'{component}/{found.name}' is {found.values.dtype}: what moves must be float32")
            names.add((component, found.name))
            yield found


def _find(component: str, owner: Owner) -> Iterator[_Found]:
    if isinstance(owner, torch.nn.Module):
        yield from _find_in_module(component, "", owner)
        return
    nodes = _owning_nodes(owner)
    for prefix, node in zip(_prefixes(nodes), nodes, strict=True):
        module = _module_of(node)
        if module is not None:
            yield from _find_in_module(component, prefix, module)
        for key in sorted(node.param_names):
            if node.has_param(key):
                values = xp2torch(node.get_param(key))
                yield _Found(component=component, name=prefix + key, values=values,
                             trainable=not node.attrs.get("frozen", False), node=node, key=key)  # fmt: skip


def _owning_nodes(owner: ThincModel) -> list[ThincModel]:
    """The nodes with parameters; not those whose torch module is a part of an earlier node's."""
    nodes: list[ThincModel] = []
    inside: set[int] = set()
    for node in owner.walk():
        module = _module_of(node)
        is_new = module is not None and id(module) not in inside
        if module is not None:
            inside.update(map(id, module.modules()))
        if is_new or node.param_names:
            nodes.append(node)
    return nodes


def _find_in_module(component: str, prefix: str, module: torch.nn.Module) -> Iterator[_Found]:
    for name, parameter in module.named_parameters():
        yield _Found(component=component, name=prefix + name, values=parameter.data,
                     trainable=parameter.requires_grad, parameter=parameter,
                     stage=getattr(parameter, STAGE_ATTRIBUTE, ""))  # fmt: skip


def named_parameters(owner: Owner) -> dict[str, torch.Tensor]:
    """Every parameter that has a value, by the name it has in a store; the owner's own memory, not a copy."""
    return {found.name: found.values for found in _find("", owner)}


def copy_common(source: torch.Tensor, target: torch.Tensor) -> None:
    """Copy what two tensors have in common, counted from the first row and column; the rest of `target` stays."""
    if source.ndim == target.ndim:
        common = tuple(slice(min(sizes)) for sizes in zip(source.shape, target.shape, strict=True))
        target[common].copy_(source[common])


def _prefixes(nodes: Sequence[ThincModel]) -> list[str]:
    """A name before each node's parameters: none for a single node, else its own, numbered where it repeats."""
    if len(nodes) == 1:
        return [""]
    names = [node.name for node in nodes]
    counts: dict[str, int] = {}
    prefixes = []
    for name in names:
        number = counts.get(name, 0)
        counts[name] = number + 1
        prefixes.append(f"{name}.{number}." if names.count(name) > 1 else f"{name}.")
    return prefixes


def _module_of(node: ThincModel) -> torch.nn.Module | None:
    """The torch module that a Thinc node wraps: our own bridge names it in `attrs`, Thinc's in a shim."""
    module = node.attrs.get("torch_module")
    if module is None and node.shims:
        module = getattr(node.shims[0], "_model", None)
    return module if isinstance(module, torch.nn.Module) else None


def _modules_of(owner: Owner) -> Iterator[torch.nn.Module]:
    if isinstance(owner, torch.nn.Module):
        yield owner
        return
    for node in owner.walk():
        module = _module_of(node)
        if module is not None:
            yield module
