"""Rays that are kept to be compared: values that are replaced whole, so that every change can be undone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from app.protocol import Pick, Pixel, Unpick
from app.ray_report import RayReport
from renderer.view import View

RGB = tuple[int, int, int]
COLORS: tuple[RGB, ...] = (
    (86, 180, 233), (204, 121, 167), (0, 158, 115), (213, 94, 0), (0, 114, 178), (150, 156, 166), (230, 159, 0),
)  # fmt: skip
"""Of Okabe and Ito, which the colour-blind can tell apart; without black and yellow, which one of the skins hides."""


@dataclass(frozen=True, eq=False)
class Reading:
    """A ray as it was at a ``step`` of training."""

    report: RayReport
    step: int


@dataclass(frozen=True)
class Pin:
    """A ray that is kept. ``key``: no other pin has it. ``color``: 0 to 255. ``step``: of the checkpoint that it is
    of; None for the scene as it is now. ``frozen``: how it was when it was told to stay so. ``shown``: whether it is
    marked in the picture and compared."""

    key: str
    name: str
    color: RGB
    view: View
    pixel: Pixel
    step: int | None = None
    frozen: Reading | None = None
    shown: bool = True

    @property
    def pick(self) -> Pick | None:
        """What the engine has to be asked; None where nothing is to be followed."""
        return Pick(self.view, self.pixel, self.key, self.step) if self.shown and self.frozen is None else None


Pins = tuple[Pin, ...]


def added(pins: Pins, pick: Pick, name: str = "") -> Pins:
    """The pins and one more, of a colour that few others have."""
    number = max((int(pin.key.rpartition(" ")[2]) for pin in pins), default=0) + 1
    color = min(COLORS, key=lambda c: sum(pin.color == c for pin in pins))
    return (*pins, Pin(f"pin {number}", name or f"Ray {number}", color, bare(pick.view), pick.pixel, pick.step))


def without(pins: Pins, key: str) -> Pins:
    """The pins but one."""
    return tuple(pin for pin in pins if pin.key != key)


def changed(pins: Pins, key: str, **values: object) -> Pins:
    """The pins with other values of one."""
    return tuple(replace(pin, **values) if pin.key == key else pin for pin in pins)  # type: ignore[arg-type]


def found(pins: Pins, pick: Pick) -> Pin | None:
    """The pin of this very ray, if there is one."""
    same = (bare(pick.view), pick.pixel, pick.step)
    return next((pin for pin in pins if (pin.view, pin.pixel, pin.step) == same and pin.frozen is None), None)


def bare(view: View) -> View:
    """What of a view a ray depends on."""
    return replace(view, overlay="", pose=0)


class PinBoard:
    """The pins, what the engine is asked for them, and what it answered. ``send``: hands a command to it. ``version``:
    grows with every change.

    ``pins`` is a document for :class:`app.history.History`: read it, replace it with :meth:`set`.
    """

    def __init__(self, send: Callable[[Pick | Unpick], None]) -> None:
        self._send = send
        self.pins: Pins = ()
        self.version = 0
        self._readings: dict[str, Reading] = {}
        self._asked: dict[str, Pick] = {}

    def set(self, pins: Pins) -> None:
        """Other pins: ask for those that are to be followed, and no longer for the others."""
        self.pins = pins
        self.version += 1
        wanted = {pin.key: pin.pick for pin in pins}
        for key, asked in list(self._asked.items()):
            if wanted.get(key) != asked:
                del self._asked[key]
                if wanted.get(key) is None:
                    self._send(Unpick(key))
        for key, pick in wanted.items():
            if pick is not None and key not in self._asked:
                self._asked[key] = pick
                self._send(pick)
        self._readings = {key: reading for key, reading in self._readings.items() if key in wanted}

    def forget(self) -> None:
        """The scene was closed."""
        self.pins, self._readings, self._asked = (), {}, {}
        self.version += 1

    def answered(self, key: str, reading: Reading) -> None:
        """The engine has read a ray; what nobody asked for is passed over."""
        if key in self._asked:
            self._readings[key] = reading
            self.version += 1

    def reading(self, pin: Pin) -> Reading | None:
        """What is known of a pin's ray, under its name; None while it is not."""
        known = pin.frozen or self._readings.get(pin.key)
        return None if known is None else replace(known, report=replace(known.report, name=self.title(pin)))

    def title(self, pin: Pin) -> str:
        """A pin's name, and of which step it is where that is not the present one."""
        step = pin.frozen.step if pin.frozen is not None else pin.step
        return pin.name if step is None else f"{pin.name} · step {step:,}"

    @property
    def compared(self) -> list[tuple[Pin, Reading]]:
        """The pins that are shown and known, with their rays."""
        known = [(pin, self.reading(pin)) for pin in self.pins if pin.shown]
        return [(pin, reading) for pin, reading in known if reading is not None]
