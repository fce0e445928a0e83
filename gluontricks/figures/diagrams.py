"""Diagrams of residual networks, drawn from their layers. Lengths are in inches, y points down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Sequence, Tuple, Union

from gluontricks.figures.canvas import COLOURS, GREY, INK, drawn
from gluontricks.figures.layers import Layer, Residual, ResidualBlock

BOX, PITCH, WIDTH, REACH = 0.32, 0.5, 1.1, 0.62
MARGIN, TITLE = 0.1, 0.5
PANEL, FILL, MARK, EDGE = "#f3f3f3", "#ffffff", "#fbe3d3", "#8c8c8c"
TIMES = "\u00d7"
WORDS = {"convolution": "conv", "max pooling": "max pool", "average pooling": "avg pool"}

Path = Sequence[Tuple[Layer, bool]]
Part = Union[ResidualBlock, Sequence[Layer]]


def label(layer: Layer) -> str:
    """Return what stands in a layer's box: kernel, kind, channels, and a stride other than 1."""
    if layer.kind == "dense":
        return f"dense, {layer.channels}"
    text = f"{layer.kernel}{TIMES}{layer.kernel} {WORDS[layer.kind]}"
    if layer.kind == "convolution":
        text += f", {layer.channels}"
    return text if layer.stride == 1 else f"{text}\nstride {layer.stride}"


def shape(layer: Layer) -> str:
    """Return the shape of a layer's output."""
    return f"{layer.channels} {TIMES} {layer.size} {TIMES} {layer.size}"


@dataclass(frozen=True)
class Board:
    """Axes that span a whole figure."""

    axes: Any

    @classmethod
    def of(cls, figure: Any) -> Board:
        """Return the board of an empty figure."""
        width, height = figure.get_size_inches()
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, width), ylim=(height, 0))
        axes.axis("off")
        return cls(axes)

    def box(self, x: float, y: float, width: float, height: float, **style: Any) -> None:
        """Draw a rectangle with its upper left corner at (x, y)."""
        from matplotlib.patches import FancyBboxPatch

        form = f"round,pad=0,rounding_size={style.pop('round', 0.05)}"
        self.axes.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=form, **style))

    def text(self, x: float, y: float, text: str, **style: Any) -> None:
        """Write text, centred unless told otherwise."""
        place = {"ha": "center", "va": "center", "linespacing": 1.15}
        self.axes.text(x, y, text, **{**place, **style})

    def arrow(self, *points: Tuple[float, float], head: bool = True) -> None:
        """Draw a line through points, with a head at its end."""
        style = {"color": INK, "linewidth": 0.9, "solid_capstyle": "butt"}
        xs, ys = zip(*points)
        self.axes.plot(xs, ys, solid_joinstyle="round", **style)
        if head:
            (x0, y0), (x1, y1) = points[-2:]
            length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
            dx, dy = (x1 - x0) / length * 0.07, (y1 - y0) / length * 0.07
            self.axes.fill(
                [x1, x1 - dx - dy * 0.55, x1 - dx + dy * 0.55],
                [y1, y1 - dy + dx * 0.55, y1 - dy - dx * 0.55],
                color=INK, linewidth=0,
            )  # fmt: skip

    def layer(self, x: float, y: float, layer: Layer, *, marked: bool = False) -> None:
        """Draw the box of a layer centred at (x, y)."""
        colours = {"facecolor": MARK, "edgecolor": COLOURS[1], "linewidth": 1.4} if marked else {
            "facecolor": FILL, "edgecolor": EDGE, "linewidth": 0.8}  # fmt: skip
        self.box(x - WIDTH / 2, y - BOX / 2, WIDTH, BOX, zorder=3, **colours)
        self.text(x, y, label(layer), fontsize=8, zorder=4)

    def chain(self, x: float, top: float, path: Path) -> float:
        """Draw layers below each other, the arrow into each above it; return where they end."""
        for layer, marked in path:
            self.arrow((x, top), (x, top + PITCH - BOX))
            self.layer(x, top + PITCH - BOX / 2, layer, marked=marked)
            top += PITCH
        return top

    def block(self, x: float, top: float, main: Path, shortcut: Path) -> None:
        """Draw a block, ``block_height(main)`` high, its path A to the left of ``x``."""
        from matplotlib.patches import Circle

        fork, join = top + 0.26, top + 0.26 + PITCH * len(main) + 0.22
        late = fork + PITCH * (len(main) - len(shortcut)) / 2
        self.arrow((x, top), (x, fork), head=False)
        for side, name, begin, path in ((-1, "path A", fork, main), (1, "path B", late, shortcut)):
            middle = x + side * REACH
            self.text(middle, top + 0.13, name, fontsize=8, color=GREY)
            self.arrow((x, fork), (middle, fork), (middle, begin + 0.01), head=False)
            end = self.chain(middle, begin, path)
            self.arrow((middle, end), (middle, join), (x + side * 0.1, join))
        self.axes.add_patch(Circle((x, join), 0.1, facecolor=FILL, edgecolor=INK, linewidth=0.9))
        self.text(x, join, "+", fontsize=10)
        self.arrow((x, join + 0.1), (x, top + block_height(main)))

    def panel(self, x: float, y: float, width: float, height: float, words: Sequence[str]) -> None:
        """Draw the ground of a part with its title and what is below that."""
        self.box(x, y, width, height, facecolor=PANEL, edgecolor="none", zorder=0)
        self.text(x + 0.1, y + 0.17, words[0], ha="left", weight="bold")
        self.text(x + 0.1, y + 0.35, words[1], ha="left", fontsize=8, color=GREY)


def block_height(main: Sequence[Any]) -> float:
    """Return the height of a drawn block."""
    return 0.26 + PITCH * len(main) + 0.22 + 0.34


def marked(path: Sequence[Layer], before: Sequence[Layer]) -> Path:
    """Return a path with what differs from ``before`` marked; both are compared from their ends."""
    old = [label(layer) for layer in reversed(before)]
    new = [label(layer) for layer in reversed(path)]
    same = [i < len(old) and text == old[i] for i, text in enumerate(new)]
    return [(layer, not kept) for layer, kept in zip(path, reversed(same))]


def draw_architecture(network: Residual) -> bytes:
    """Return the SVG of a network: its column of parts, and its stem and last stage in detail."""
    number, stage = len(network.stages), network.stages[-1]
    parts = [
        ("stem", ("Input stem", "convolution and pooling"), network.stem),
        (number, (f"Stage {number}, block 1", "downsampling block"), stage[0]),
        (number, (f"Stage {number}, {_others(len(stage))}", "residual block"), stage[1]),
    ]
    left, width, between = 1.95, 2.6, 0.14
    height = sum(_part_height(part) + between for *_, part in parts) - between

    def paint(figure: Any) -> None:
        board = Board.of(figure)
        places = _column(board, network, height)
        top = MARGIN
        for key, words, part in parts:
            tall = _part_height(part)
            board.panel(left, top, width, tall, words)
            _wedge(board, places[key], (left, top, tall))
            _draw_part(board, left + width / 2, top + TITLE, part)
            top += tall + between

    return drawn(left + width + MARGIN, height + 2 * MARGIN, paint)


def _others(blocks: int) -> str:
    return {2: "block 2", 3: "blocks 2 and 3"}.get(blocks, f"blocks 2 to {blocks}")


def _part_height(part: Part) -> float:
    if isinstance(part, ResidualBlock):
        return TITLE + block_height(part.main) + 0.06
    return TITLE + PITCH * len(part) + 0.24


def _draw_part(board: Board, x: float, top: float, part: Part, before: Part = ()) -> None:
    """Draw a part; with ``before`` what differs from that is marked."""
    if isinstance(part, ResidualBlock):
        old = before if isinstance(before, ResidualBlock) else part
        board.block(x, top, marked(part.main, old.main), marked(part.shortcut, old.shortcut))
    else:
        old = part if isinstance(before, ResidualBlock) or not before else before
        end = board.chain(x, top, marked(part, old))
        board.arrow((x, end), (x, end + PITCH - BOX))


def _column(board: Board, network: Residual, height: float) -> Dict[Any, Tuple[float, float]]:
    """Draw the parts of a network below each other; return the upper and lower end of each."""
    parts: List[Tuple[Any, str]] = [("input", f"Input\n{shape(network.image)}")]
    parts.append(("stem", f"Input stem\n{shape(network.stem[-1])}"))
    for number, stage in enumerate(network.stages, 1):
        words = f"Stage {number}: {len(stage)} blocks\n{shape(stage[-1].addition)}"
        parts.append((number, words))
    parts += [(layer, label(layer)) for layer in network.head]
    places: Dict[Any, Tuple[float, float]] = {}
    tall, wide = 0.46, 1.4
    pitch, x = (height - tall) / (len(parts) - 1), MARGIN + wide / 2
    for place, (key, words) in enumerate(parts):
        top = MARGIN + place * pitch
        if place:
            board.arrow((x, top - pitch + tall), (x, top))
        board.box(MARGIN, top, wide, tall, facecolor=FILL, edgecolor=EDGE, linewidth=0.8, zorder=3)
        board.text(x, top + tall / 2, words, fontsize=8, zorder=4)
        places[key] = (top, top + tall)
    return places


def _wedge(board: Board, place: Tuple[float, float], panel: Tuple[float, float, float]) -> None:
    """Join a part of the column with the panel that shows it in detail."""
    (left, top, height), right = panel, MARGIN + 1.4
    board.axes.fill(
        [right, left, left, right], [place[0], top + 0.05, top + height - 0.05, place[1]],
        color=PANEL, linewidth=0, zorder=0,
    )  # fmt: skip


def draw_tweaks(networks: Mapping[str, Residual]) -> bytes:
    """Return the SVG of the last downsampling blocks and the stems of networks that are compared.

    Networks with equal parts share a panel; what differs from the panel before is marked.

    Parameters
    ----------
    networks : mapping
        Name such as ResNet-B -> network; the first is what the others change.
    """
    blocks = _unique({name: n.stages[-1][0] for name, n in networks.items()})
    stems = _unique({name: n.stem for name, n in networks.items()})
    wide, between = 2.56, 0.1
    narrow = (wide - between) / 2
    tall = max(_part_height(part) for _, part in (*blocks, *stems))

    def paint(figure: Any) -> None:
        board = Board.of(figure)
        x, y = MARGIN, MARGIN
        for title, width, parts in (
            ("downsampling block", wide, blocks), ("input stem", narrow, stems)
        ):  # fmt: skip
            for (names, part), (_, before) in zip(parts, (parts[0], *parts)):
                if x + width > 2 * wide + between + MARGIN + 0.01:
                    x, y = MARGIN, y + tall + between
                board.panel(x, y, width, tall, (names, title))
                _draw_part(board, x + width / 2, y + TITLE, part, before)
                x += width + between
        _key(board, MARGIN + 0.02, y + tall + 0.2)

    rows = -(-(len(blocks) + len(stems) / 2) // 2)
    height = rows * (tall + between) + 2 * MARGIN + 0.22
    return drawn(2 * wide + between + 2 * MARGIN, height, paint)


def _key(board: Board, x: float, y: float) -> None:
    """Say what a marked box means."""
    board.box(x, y - 0.07, 0.24, 0.14, facecolor=MARK, edgecolor=COLOURS[1], linewidth=1.4)
    board.text(x + 0.32, y, "changed from the panel before", fontsize=8, ha="left")


def _unique(parts: Mapping[str, Part]) -> List[Tuple[str, Part]]:
    """Return the different parts in order, each with the names of all that have it."""
    found: Dict[Any, Tuple[List[str], Part]] = {}
    for name, part in parts.items():
        form = part.form if isinstance(part, ResidualBlock) else tuple(x.form for x in part)
        found.setdefault(form, ([], part))[0].append(name)
    return [
        (", ".join([names[0], *(name.split("-")[-1] for name in names[1:])]), part)
        for names, part in found.values()
    ]
