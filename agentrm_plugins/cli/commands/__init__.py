"""The commands. A new one is a new file here; no other file changes.

`commands/NAME.py` is `agentrm NAME` (`_` becomes `-`; a module whose name begins with `_` is no
command). Its docstring's first line is what a bare install prints for it, so it is a short sentence
without a markup of its own. At top it imports typer and this project's core alone, what an extra
brings it imports inside, after `need(...)`. It has one function:

    def register(app: typer.Typer) -> None:
        app.command("name")(name)        # or app.add_typer(group, name="name")
"""
