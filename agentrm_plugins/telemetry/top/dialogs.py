"""What opens above the tables: a story, a question, a choice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from rich.console import Group
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Label, OptionList, Static
from textual.widgets.option_list import Option

from agentrm_plugins.telemetry.top.drawing import clean

__all__ = ["Choice", "Help", "Story"]

_BOX = """
{name} {{ align: center middle; }}
{name} > Vertical {{
    width: 90%; max-width: {wide}; height: auto; max-height: 90%;
    border: round $primary; background: $surface; padding: 0 1;
}}
{name} .title {{ text-style: bold; width: 1fr; height: auto; }}
{name} VerticalScroll {{ height: auto; max-height: 1fr; }}
{name} .hint {{ color: $text-muted; }}
"""


class Story(ModalScreen[None]):
    """Calls with their stories, one below the other."""

    DEFAULT_CSS = _BOX.format(name="Story", wide=110)
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter", "dismiss", "Back")]

    def __init__(self, title: str, parts: Sequence[tuple[str, Sequence[Sequence[Any]]]]) -> None:
        super().__init__()
        self._title, self._parts = clean(title), parts

    def compose(self) -> ComposeResult:
        """A title, and each call's events with their times."""
        with Vertical():
            yield Label(Text(self._title), classes="title")
            with VerticalScroll():
                yield Static(self._text())
            yield Label("Esc goes back, arrows scroll", classes="hint")

    def _text(self) -> Group:
        made: list[Text | Table] = []
        for head, lines in self._parts:
            if head:
                made.append(Text(clean(head), "bold"))
            events = Table.grid(padding=(0, 2, 0, 0))
            events.add_column(justify="right", style="dim", no_wrap=True, min_width=11)
            events.add_column(justify="right", style="dim", no_wrap=True, min_width=7)
            events.add_column(ratio=1)
            before_s: float | None = None
            for at_s, line in lines:
                passed = "" if before_s is None else f"+{at_s - before_s:.2f}"
                events.add_row(f"{at_s:.2f} s", passed, Text(clean(str(line))))
                before_s = at_s
            made.append(events)
        return Group(*(made or [Text("Nothing is known of its calls any more.", "dim")]))


class Choice(ModalScreen[str]):
    """A question with a few answers; "" is none of them. The first answer does nothing."""

    DEFAULT_CSS = _BOX.format(name="Choice", wide=72) + "Choice OptionList { height: auto; }"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "no", "Back")]

    def __init__(self, question: str, answers: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._question, self._answers = clean(question), answers

    def compose(self) -> ComposeResult:
        """The question and its answers."""
        with Vertical():
            yield Label(Text(self._question), classes="title")
            yield OptionList(*(Option(Text(clean(text)), id=name) for name, text in self._answers))

    def on_option_list_option_selected(self, chosen: OptionList.OptionSelected) -> None:
        """An answer was chosen."""
        self.dismiss(chosen.option.id or "")

    def action_no(self) -> None:
        """None of them."""
        self.dismiss("")


class Help(ModalScreen[None]):
    """The keys."""

    DEFAULT_CSS = _BOX.format(name="Help", wide=72)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,question_mark", "dismiss", "Back")
    ]

    def __init__(self, lines: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._lines = lines

    def compose(self) -> ComposeResult:
        """Key and meaning."""
        with Vertical():
            yield Label("Keys", classes="title")
            with VerticalScroll():
                made = Text()
                for key, meaning in self._lines:
                    made.append(f"{key:>14}  ", "bold")
                    made.append(f"{meaning}\n")
                made.rstrip()
                yield Static(made)
