"""`lifecycle completion`: the shell's completion script."""

from __future__ import annotations

import click

from lifecycle.cli.session import Session, pass_session, verb, write

VARIABLE = "_LIFECYCLE_COMPLETE"


@verb("completion", example="completion bash > ~/.local/share/bash-completion/completions/lifecycle")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
@pass_session
def command(session: Session, ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - click ships all three
    script = kind(ctx.find_root().command, {}, "lifecycle", VARIABLE).source()
    if session.json:
        import json

        script = json.dumps({"shell": shell, "script": script}, indent=2)
    session.emitted = True
    write(script + "\n")
