"""What opens above the tables: a story, a question, a choice, a line of settings."""

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
from textual.widgets import Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from agentrm_plugins.errors import ConfigError
from agentrm_plugins.telemetry.changing import typed
from agentrm_plugins.telemetry.top.drawing import clean

__all__ = ["Change", "Choice", "Help", "Story"]

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


class Change(ModalScreen[dict[str, Any]]):
    """A line of settings for what runs; {} is none."""

    DEFAULT_CSS = (
        _BOX.format(name="Change", wide=90)
        + "Change .wrong { color: $error; width: 1fr; height: auto; }"
    )
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "none", "Back")]

    def __init__(self, lanes: int) -> None:
        super().__init__()
        self._lanes = lanes

    def compose(self) -> ComposeResult:
        """A field, and how to write in it."""
        with Vertical():
            yield Label(f"Change what runs ({self._lanes} lanes now)", classes="title")
            yield Input(placeholder=f"lanes = {self._lanes + 1}", id="change")
            yield Label("", classes="wrong", id="wrong", markup=False)
            yield Label(_EXAMPLES, classes="hint", markup=False)

    def on_mount(self) -> None:
        """Type at once."""
        self.query_one(Input).focus()

    def on_input_submitted(self, given: Input.Submitted) -> None:
        """That is it, if it can be read."""
        given.stop()
        try:
            self.dismiss(typed(given.value))
        except ConfigError as error:
            self.query_one("#wrong", Label).update(clean(str(error)))

    def on_input_changed(self, changed: Input.Changed) -> None:
        """The application filters by its own field alone."""
        changed.stop()

    def action_none(self) -> None:
        """Leave all as it is."""
        self.dismiss({})


_EXAMPLES = """\
lanes = 8, priorities.ada = "batch"
endpoints."api.openai.com/*".rpm = 500
budgets = [{ limit = 1000, resource = "calls", agent = "*" }]
As in agentrm.toml. What is not named stays as it is; budgets and
groups are given whole. No call is lost. Esc leaves all as it is."""


HELP = (
    ("1 to 6", "agents, calls, endpoints, sessions, events, fleet"),
    ("arrows", "move; Page and Home/End too"),
    ("Enter", "the story of the call, or of the agent's calls"),
    ("/", "filter by a part of the name; Esc clears it"),
    ("< >", "sort by the column before or after; or click its head"),
    ("r", "the other way round"),
    ("Space", "pause: what happens meanwhile is shown when you go on"),
    ("e", "end the agent: its waiting calls are withdrawn"),
    ("d", "drain it: what runs goes on, nothing new begins; again: let it in"),
    ("p", "give it another priority"),
    ("u", "change lanes, limits, budgets or priorities of what runs"),
    ("+ -", "a recording's speed"),
    ("q", "quit"),
    ("", ""),
    ("lane 1, #1", "a lane: who holds it, and for how long"),
    ("L0, L1", "levels of the queue and who waits there; L0 goes first"),
    ("pressure", "% of time with a call waiting, over 10 s / 60 s / 5 min"),
    ("lanes", "... waiting for a lane"),
    ("rate", "... held back by an endpoint's limit"),
    ("context", "... whose context was made shorter first"),
    ("429s", "answers of the provider that its limit was passed"),
    ("zombies", "calls that hung and lost their lane, not ended yet"),
    ("hangs", "calls that hung and lost their lane, in all"),
    ("use, the bar", "share of what may go there at once that is taken"),
    ("9 of 6 /min", "sent lately (10 s) of what is let through, per minute"),
    ("a burst", "above that: what was saved up while less was sent"),
    ("breaker", "ok: calls go; open: it fails; half open: one tests it"),
)


class Help(ModalScreen[None]):
    """The keys, and what the words and figures mean."""

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
            yield Label("Keys and words", classes="title")
            with VerticalScroll():
                made = Text()
                for key, meaning in self._lines:
                    made.append(f"{key:>14}  ", "bold")
                    made.append(f"{meaning}\n")
                made.rstrip()
                yield Static(made)
