"""shapes: ten classes of textured shapes over clutter, drawn from a seed. No download, no file.

Image i is the same on every machine and at every size: its scene comes from a generator seeded
by (seed, split, i), and is drawn with + - * / and square roots alone, which every machine rounds
alike. Position, scale, mirror, turn, color of the light and contrast vary, so that a net must
learn the shape, and not the place or the color.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

CLASSES = ("disc", "ring", "square", "triangle", "star", "cross", "heart", "moon", "arrow",
           "hourglass")
SPLITS = {"train": 4000, "val": 1000, "test": 1000}
DISTRACTORS = 5
_DRAWS = 160  # uniform numbers per image, more than a scene needs
_BLOCK = 32  # images drawn together: fewer calls for each, and still in the cache of a processor
_PIXELS = 2**21  # of large images, in a block: each takes some 100 bytes while it is drawn


def render(first: int, last: int, size: int = 64, split: str = "train",
           seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images first ... last - 1 of a split.

    Returns: (images, labels): (N, size, size, 3) uint8, RGB, 0-255, and (N,) int64, 0-9.
    """
    labels = np.arange(first, last) * 7 % 10
    images = np.empty((last - first, size, size, 3), np.uint8)
    which = sorted(SPLITS).index(split)
    block = max(1, min(_BLOCK, _PIXELS // size**2))

    def draw_block(at: int) -> None:
        part = slice(at, min(at + block, last - first))
        draws = np.stack([np.random.default_rng([seed, which, first + i]).random(_DRAWS)
                          for i in range(part.start, part.stop)]).astype(np.float32)
        images[part] = _scenes(draws, labels[part], size)

    with ThreadPoolExecutor(2) as pool:  # more would only wait for Python's lock
        list(pool.map(draw_block, range(0, last - first, block)))
    return images, labels.astype(np.int64)


class _Draws:
    """Hands out each image's uniform numbers in order, as (B, 1, 1) for broadcasting."""

    def __init__(self, numbers: np.ndarray):
        self.numbers, self.used = numbers, 0

    def __call__(self, low=0.0, high=1.0) -> np.ndarray:
        self.used += 1
        drawn = self.numbers[:, self.used - 1, None, None]
        return (np.float32(low) + np.float32(high - low) * drawn).astype(np.float32)

    def color(self) -> np.ndarray:
        """(B, 1, 1, 3), 0-1."""
        return np.stack([self() for _ in range(3)], -1)


def _scenes(numbers: np.ndarray, labels: np.ndarray, size: int) -> np.ndarray:
    draw = _Draws(numbers)
    axis = ((np.arange(size, dtype=np.float32) + np.float32(0.5)) * np.float32(2 / size)
            - np.float32(1))
    x, y = np.broadcast_arrays(axis[None, None, :], axis[None, :, None])
    edge = np.float32(size / 2)  # pixels per unit of length

    canvas = _background(draw, x, y)
    for _ in range(DISTRACTORS):
        canvas = _paint(canvas, _bar(draw, x, y), draw.color() * np.float32(0.8), edge)

    reach = draw(0.42, 0.72)
    room = np.float32(0.96) - reach
    across, down = draw(-1, 1) * room, draw(-1, 1) * room
    turn = draw(-0.15, 0.15)  # tangent of half the angle: about 17 degrees each way
    cos, sin = (1 - turn * turn) / (1 + turn * turn), 2 * turn / (1 + turn * turn)
    mirror = np.where(draw() < 0.5, np.float32(-1), np.float32(1))
    dx, dy = (x - across) / reach, (y - down) / reach
    u, v = (dx * cos + dy * sin) * mirror, dy * cos - dx * sin

    distance = np.empty_like(u)
    for label in np.unique(labels):
        chosen = labels == label
        distance[chosen] = _DISTANCES[CLASSES[label]](u[chosen], v[chosen])
    dark, light = draw.color() * np.float32(0.4), np.float32(0.6) + draw.color() * 0.4
    fill = light + (dark - light) * (_texture(draw, u, v) * draw(0.2, 0.8))[..., None]
    canvas = _paint(canvas, distance * reach, fill, edge)
    # A thin dark rim, which a cartoonist would draw.
    canvas = _paint(canvas, np.abs(distance * reach) - np.float32(0.022), dark, edge)

    light = np.float32(0.55) + np.float32(0.6) * draw.color()
    contrast, brightness = draw(0.55, 1.1)[..., None], draw(-0.12, 0.12)[..., None]
    canvas = (canvas * light - np.float32(0.5)) * contrast + np.float32(0.5) + brightness
    return (np.clip(canvas, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)


def _paint(canvas, distance, color, edge) -> np.ndarray:
    """Lay `color` where the signed distance is negative, with an edge one pixel soft."""
    cover = np.clip(np.float32(0.5) - distance * edge, 0, 1)[..., None]
    return canvas + (color - canvas) * cover


def _background(draw: _Draws, x, y) -> np.ndarray:
    """Two colors mixed by smooth blotches and, faintly, by stripes."""
    grid = np.stack([[draw()[:, 0, 0] for _ in range(5)] for _ in range(5)]).transpose(2, 0, 1)
    at = (x[0, 0] + 1) * np.float32(2)  # 0-4 over the picture
    cell = np.minimum(at.astype(int), 3)
    share = at - cell
    smooth = share * share * (np.float32(3) - 2 * share)
    rows = grid[:, cell] + (grid[:, cell + 1] - grid[:, cell]) * smooth[None, :, None]
    mix = rows[:, :, cell] + (rows[:, :, cell + 1] - rows[:, :, cell]) * smooth[None, None, :]
    waves = _wave((x * draw(-1, 1) + y * draw(-1, 1)) * draw(2, 7))
    mix = mix * np.float32(0.75) + waves * np.float32(0.25)
    one, two = draw.color() * np.float32(0.7), draw.color() * np.float32(0.7)
    return one + (two - one) * mix[..., None]


def _bar(draw: _Draws, x, y) -> np.ndarray:
    """Signed distance to a small bar with round ends anywhere in the picture."""
    x0, y0 = draw(-1, 1), draw(-1, 1)
    x1, y1 = x0 + draw(-0.35, 0.35), y0 + draw(-0.35, 0.35)
    return _segment(x, y, x0, y0, x1, y1) - draw(0.02, 0.09)


def _wave(t) -> np.ndarray:
    """A triangle wave of period 1, 0-1."""
    return np.abs(t - np.floor(t) - np.float32(0.5)) * 2


def _texture(draw: _Draws, u, v) -> np.ndarray:
    """Plain, stripes, checks or dots, 0-1, by chance."""
    kind, scale, slant = draw(), draw(1.6, 3.2), draw(-0.6, 0.6)
    a, b = _wave((u + slant * v) * scale), _wave((v - slant * u) * scale)
    stripes = np.clip((a - np.float32(0.5)) * 8 + np.float32(0.5), 0, 1)
    other = np.clip((b - np.float32(0.5)) * 8 + np.float32(0.5), 0, 1)
    checks = stripes + other - 2 * stripes * other
    dots = np.clip((np.float32(0.5) - np.sqrt(a * a + b * b)) * 8 + np.float32(0.5), 0, 1)
    return np.select([kind < 0.25, kind < 0.5, kind < 0.75], [0 * a, stripes, checks], dots)


def _segment(x, y, x0, y0, x1, y1) -> np.ndarray:
    """Distance to the line from (x0, y0) to (x1, y1)."""
    ax, ay, bx, by = x - x0, y - y0, x1 - x0, y1 - y0
    along = np.clip((ax * bx + ay * by) / (bx * bx + by * by + np.float32(1e-9)), 0, 1)
    cx, cy = ax - along * bx, ay - along * by
    return np.sqrt(cx * cx + cy * cy)


def _polygon(*corners):
    """The signed distance function of a polygon: negative inside."""
    points = np.array(corners, np.float32)

    def distance(u, v):
        nearest = np.full_like(u, np.inf)
        inside = np.zeros(u.shape, bool)
        for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, 0), strict=True):
            nearest = np.minimum(nearest, _segment(u, v, x0, y0, x1, y1))
            if y0 != y1:  # count the edges to the right of the point
                crosses = ((y0 > v) != (y1 > v)) & (u < x0 + (v - y0) * ((x1 - x0) / (y1 - y0)))
                inside ^= crosses
        return np.where(inside, -nearest, nearest)
    return distance


def _disc(u, v, x=0.0, y=0.0, radius=0.9):
    dx, dy = u - np.float32(x), v - np.float32(y)
    return np.sqrt(dx * dx + dy * dy) - np.float32(radius)


def _ring(u, v):
    return np.abs(_disc(u, v, radius=0.7)) - np.float32(0.24)


def _moon(u, v):
    return np.maximum(_disc(u, v, 0.1), -_disc(u, v, 0.58, -0.12, 0.72))


def _heart(u, v):
    lobes = np.minimum(_disc(u, v, -0.43, -0.3, 0.5), _disc(u, v, 0.43, -0.3, 0.5))
    return np.minimum(lobes, _HEART_POINT(u, v))


_HEART_POINT = _polygon((-0.84, -0.02), (0, -0.5), (0.84, -0.02), (0, 0.98))
_DISTANCES = {
    "disc": _disc, "ring": _ring, "moon": _moon, "heart": _heart,
    "square": _polygon((-0.78, -0.78), (0.78, -0.78), (0.78, 0.78), (-0.78, 0.78)),
    "triangle": _polygon((0, -0.95), (0.95, 0.75), (-0.95, 0.75)),
    "star": _polygon((0, -1), (0.25, -0.34), (0.95, -0.31), (0.4, 0.13), (0.59, 0.81), (0, 0.42),
                     (-0.59, 0.81), (-0.4, 0.13), (-0.95, -0.31), (-0.25, -0.34)),
    "cross": _polygon((-0.3, -0.95), (0.3, -0.95), (0.3, -0.3), (0.95, -0.3), (0.95, 0.3),
                      (0.3, 0.3), (0.3, 0.95), (-0.3, 0.95), (-0.3, 0.3), (-0.95, 0.3),
                      (-0.95, -0.3), (-0.3, -0.3)),
    "arrow": _polygon((-0.95, -0.25), (0.1, -0.25), (0.1, -0.75), (0.98, 0), (0.1, 0.75),
                      (0.1, 0.25), (-0.95, 0.25)),
    "hourglass": _polygon((-0.7, -0.95), (0.7, -0.95), (0.14, 0), (0.7, 0.95), (-0.7, 0.95),
                          (-0.14, 0)),
}
