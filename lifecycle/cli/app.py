"""The root command: global options, the verbs by group, and what an error becomes. A verb's module loads when used."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import click

from lifecycle.cli.errors import guarded
from lifecycle.cli.session import Session, set_json

GROUPS: dict[str, tuple[str, ...]] = {
    "Begin": ("demo", "init", "validate", "schema", "operator", "store", "tenant", "completion"),
    "See": ("status", "explain", "scan", "coverage", "doctor", "policy"),
    "The line": ("plan", "approve", "mandate", "apply", "run", "daemon", "stop", "resume"),
    "Registers": ("hold", "instruction", "export"),
    "Prove": ("certificate", "evidence", "verify"),
    "Keep": ("db",),
}
MODULES = {"export": "exports", "plan": "planning"}
"""Verbs whose module has another name than the verb."""


class Root(click.Group):
    """Finds verbs by name, imports only the one that is used, and turns every end into an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order of the help page."""
        del ctx
        return [name for names in GROUPS.values() for name in names if name != "demo" or find_spec(_module("demo"))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the verb's module and return its command."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = import_module(_module(cmd_name)).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs group by group."""
        known = self.list_commands(ctx)
        for title, names in GROUPS.items():
            commands = [(name, self.get_command(ctx, name)) for name in names if name in known]
            with formatter.section(title):
                formatter.write_dl([(name, command.get_short_help_str(80)) for name, command in commands if command])

    def main(self, args: Sequence[str] | None = None, *rest: Any, obj: Session | None = None, **extra: Any) -> Any:
        """Run a command line and exit. Every error is shown in words, with an exit code of its class."""
        session = obj or Session()
        extra["standalone_mode"] = False
        # What stands on the line before parsing: a usage error must know it too.
        session.json = session.json or "--json" in (sys.argv[1:] if args is None else args)
        parent = super().main
        sys.exit(guarded(lambda: parent(args, *rest, obj=session, **extra), session))


def _module(verb: str) -> str:
    return f"lifecycle.cli.{MODULES.get(verb, verb)}"


@click.command(
    cls=Root,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="""\b
Example:
  lifecycle demo             a whole story on embedded stores, in a minute
  lifecycle --dir DIR status

\b
Exit codes: 0 done · 1 error · 2 usage or invalid document · 3 partial · 4 refused · 5 a ceiling is breached
""",
)
@click.option("--dir", "folder", metavar="DIR", envvar="LIFECYCLE_DIR", help="Folder of the deployment. [default: .]")
@click.option("--json", "as_json", is_flag=True, expose_value=False, callback=set_json, help="Print one JSON document.")
@click.option("--no-color", is_flag=True, help="Print without colours; NO_COLOR does the same.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@click.version_option(None, "-V", "--version", package_name="gdpr-lifecycle", prog_name="lifecycle")
@click.pass_obj
def root(session: Session, folder: str | None, no_color: bool, quiet: bool) -> None:
    """Keep the deletion promises of data-processing agreements (GDPR Art. 28), and prove it."""
    session.folder = folder or session.folder
    session.no_color = session.no_color or no_color
    session.quiet = session.quiet or quiet
