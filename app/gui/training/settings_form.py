"""Every setting of the run: those that can change while it goes on do, the others wait for a new run."""

from __future__ import annotations

import time
from typing import Any

import dearpygui.dearpygui as dpg

from app import protocol as p
from app.draft import Split, edited, preset, split, unlike_preset
from app.forms import Field, field_of, fields_of
from app.gui.desk import Desk, Source
from app.gui.training.settings_rows import AT_ONCE, AUTOMATIC, NEW_RUN, SettingsRows
from renderer.errors import InputError
from training.config import PRESETS, TrainConfig, flattened, with_changes
from training.device import DeviceName
from training.run import free_folder

DOCUMENT = "settings"
WAIT = 0.3
"""Seconds without another change after which the run is told."""


class SettingsForm:
    """A section of the training panel. ``wanted``: the settings as the person has them, resolved; an immutable value
    that undo and redo replace."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.wanted: TrainConfig | None = None
        self._run: TrainConfig | None = None
        self._device: DeviceName = "cpu"
        self._split = Split({}, {})
        self._rows = SettingsRows(desk, self._commit, self._reset_one)
        self._fields: tuple[Field, ...] = ()
        self._asked = False
        self._errors: dict[str, str] = {}
        self._refused: dict[str, str] = {}
        self._sent: dict[str, object] = {}
        self._changed_at = 0.0
        self._running, self._done = False, 0
        desk.history.track(DOCUMENT, lambda: self.wanted, self._restore)

    def build(self) -> None:
        """The section, in the current container; the settings themselves are made when it is opened first."""
        skin = self.desk.skin
        with dpg.collapsing_header(label="Settings", tag="settings"):
            with dpg.group(horizontal=True):
                dpg.add_combo(list(PRESETS), width=skin.px(180), tag="method",
                              callback=lambda s, name: self._choose_method(name))  # fmt: skip
                skin.text("Method")
            skin.tip("method", "What is reproduced. Another method brings its own values, and keeps those that you "
                     "have changed; it needs a new run")  # fmt: skip
            with dpg.group(horizontal=True):
                dpg.add_button(label="Reset", tag="settings_reset", callback=lambda: self._reset(), show=False)
                skin.tip("settings_reset", "All values as the preset has them")
                skin.text("", tag="settings_changed", wrap=0)
            with dpg.group(tag="settings_pending", show=False):
                skin.text("", "amber", tag="settings_waiting", wrap=0)
                dpg.add_button(label="New run with these settings", tag="settings_new_run",
                               callback=lambda: self._new_run())  # fmt: skip
                skin.primary("settings_new_run")
                skin.tip("settings_new_run", "On the same clip, in a folder of its own; the present run is saved and "
                         "stays as it is")  # fmt: skip
                dpg.add_button(label="Discard", tag="settings_discard", callback=lambda: self._discard())
                skin.tip("settings_discard", "Keep the settings of the present run")
            dpg.add_input_text(hint="Find a setting", width=-1, tag="settings_search",
                               callback=lambda s, text: self._find(text))  # fmt: skip
            skin.text(f"{AT_ONCE} changes at once   {NEW_RUN} needs a new run", tag="settings_legend", wrap=0)
            dpg.add_group(tag="setting_groups")

    # ------------------------------------------------------------------------------------------ what happens

    def opened(self, event: p.Opened) -> None:
        """Another run: these are its settings."""
        self._run = self.wanted = event.config
        self._done, self._device = event.step, event.device
        self._forget()
        self._refresh()

    def closed(self) -> None:
        """Forget the run."""
        self._run = self.wanted = None
        self._forget()
        self._refresh()

    def _forget(self) -> None:
        self._running, self._sent, self._refused = False, {}, {}
        self._drop_errors()
        self.desk.history.forget(DOCUMENT)

    def handle(self, event: p.Event) -> None:
        """Take what the engine says."""
        match event:
            case p.Configured():
                self._run, self._sent, self._refused = event.config, {}, {}
                self._refresh()
                names = ", ".join(self._label(name) for name in event.changed)
                self.desk.say(f"Changed from step {event.step:,} on: {names}")
            case p.Failed() if self._sent:
                self._refused, self._sent = dict.fromkeys(self._sent, event.message), {}
                self._refresh()
            case p.Started():
                self._running = True
            case p.Paused() | p.Finished():
                self._running, self._done = False, event.step
            case p.Progress():
                self._done = event.step

    def tick(self, now: float) -> None:
        """Make widgets, and tell the run what has changed."""
        if not self._asked and self._run is not None and dpg.get_value("settings"):
            self._asked = True
            config, device = self._run, self._device
            self.desk.beside(lambda: fields_of(config, device), self._make)
        if self._rows.advance():
            self._refresh()
            self._find(dpg.get_value("settings_search"))
        if self._split.live and not self._sent and now - self._changed_at >= WAIT:
            self._send()

    def _make(self, fields: tuple[Field, ...]) -> None:
        self._fields = fields
        self._rows.make([f for f in fields if f.path != "method"])

    def _send(self) -> None:
        """Tell the run what it can be told, unless it has refused that."""
        values = {name: value for name, value in self._split.live.items() if name not in self._refused}
        if values:
            self._sent = values
            self.desk.send(p.Configure(values))

    # ---------------------------------------------------------------------------------------------- editing

    def _commit(self, field: Field, text: str) -> None:
        """A person has given a setting another value."""
        if self.wanted is None:
            return
        text = "" if text == AUTOMATIC else text
        try:
            config = edited(self.wanted, field, text, self._device)
        except InputError as problem:
            self._errors[field.path] = str(problem)
            self._rows.note(self._notes())
            return
        self._errors.pop(field.path, None)
        self._rows.forget(field.path)
        self._change(config, f"{field.label}: {text or AUTOMATIC}")

    def _choose_method(self, name: str) -> None:
        if self.wanted is not None:
            method = field_of(self._known_fields(), "method")
            self._change(edited(self.wanted, method, name, self._device), f"method {name}")

    def _known_fields(self) -> tuple[Field, ...]:
        return self._fields or fields_of(self.wanted or TrainConfig(), self._device)

    def _reset_one(self, field: Field) -> None:
        if self.wanted is None:
            return
        value = flattened(preset(self.wanted, self._device))[field.path]
        self._errors.pop(field.path, None)
        self._rows.forget(field.path)
        self._change(with_changes(self.wanted, {field.path: value}), f"{field.label} as the preset")

    def _reset(self) -> None:
        if self.wanted is not None:
            self._drop_errors()
            self._change(preset(self.wanted, self._device), "settings as the preset")

    def _discard(self) -> None:
        if self._run is not None:
            self._drop_errors()
            self._change(self._run, "settings as the run")

    def _drop_errors(self) -> None:
        for path in self._errors:
            self._rows.forget(path)
        self._errors = {}

    def _change(self, config: TrainConfig, label: str) -> None:
        before, self.wanted = self.wanted, config
        self._changed_at, self._refused = time.monotonic(), {}
        self.desk.history.changed(DOCUMENT, before, label)
        self._refresh()

    def _restore(self, config: TrainConfig | None) -> None:
        self.wanted = config
        self._changed_at, self._refused = time.monotonic(), {}
        self._drop_errors()
        self._refresh()

    def _new_run(self) -> None:
        opened = self.desk.stage.opened
        if opened is None or self.wanted is None:
            return
        if self._errors:
            self.desk.complain(next(iter(self._errors.values())))
            return
        self.desk.leave_for(Source(opened.source, self.wanted, free_folder(opened.run), train=self._running))

    # ---------------------------------------------------------------------------------------------- showing

    def _refresh(self) -> None:
        """Everything that depends on the settings of the run and on those that are wanted."""
        run, wanted = self._run, self.wanted
        if run is None or wanted is None:
            self._split = Split({}, {})
            return
        self._split = split(run, wanted, self._done)
        changed = unlike_preset(wanted, self._device)
        dpg.set_value("method", wanted.method)
        count = f"{len(changed)} value{'' if len(changed) == 1 else 's'}"
        dpg.set_value("settings_changed", f"{count} unlike the preset" if changed else "All values are the preset's.")
        dpg.configure_item("settings_reset", show=bool(changed))
        dpg.configure_item("settings_pending", show=bool(self.pending))
        if self.pending:
            dpg.set_value("settings_waiting", f"Waiting for a new run: {', '.join(map(self._label, self.pending))}")
        self._rows.show(flattened(wanted), changed)
        self._rows.note(self._notes())

    @property
    def pending(self) -> list[str]:
        """Dotted names of what waits for a new run."""
        return sorted({*self._split.pending, *self._refused})

    def _notes(self) -> dict[str, tuple[str, str]]:
        """What is said under a setting, in which colour."""
        notes = {name: (reason or "waits for a new run", "amber") for name, reason in self._split.pending.items()}
        notes |= {name: (reason, "red") for name, reason in self._refused.items()}
        return notes | {name: (reason, "red") for name, reason in self._errors.items()}

    def _label(self, name: str) -> str:
        """A setting's name for people."""
        found = next((f for f in self._fields if f.path == name), None)
        return name if found is None else f"{found.group}: {found.label}" if found.group != "Run" else found.label

    def _find(self, text: str) -> None:
        found = self._rows.find(text)
        words = f"{found} found" if found else "Nothing is called so."
        legend = f"{AT_ONCE} changes at once   {NEW_RUN} needs a new run"
        dpg.set_value("settings_legend", words if text.strip() and self._rows.ready else legend)

    def state(self) -> dict[str, Any]:
        """What tests ask."""
        return {"pending": self.pending, "errors": self._errors, "ready": self._rows.ready}
