"""`lifecycle schema`: JSON Schemas of the documents, for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast, get_args

import click

from lifecycle.cli.page import Page
from lifecycle.cli.parameters import FOLDER
from lifecycle.cli.session import Session, pass_session, verb, write


class KindType(click.ParamType[str]):
    """The name of a kind of documents; the list is read when it is needed."""

    name = "KIND"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the kind."""
        from lifecycle.documents import KINDS

        if value not in KINDS:
            self.fail(f"write one of {', '.join(KINDS)}", param, ctx)
        return str(value)


@verb("schema", example="schema inventory > inventory.schema.json\nschema --all schemas/")
@click.argument("kind", type=KindType(), required=False)
@click.option("--all", "folder", type=FOLDER, metavar="DIR", help="Write the schema of every kind into this folder.")
@pass_session
def command(session: Session, kind: str | None, folder: Path | None) -> None:
    """Print a document's JSON Schema (draft 7), or write all of them."""
    from lifecycle.documents import KINDS, Kind, schema

    if (kind is None) == (folder is None):
        raise click.UsageError("name one KIND, or a folder with --all DIR")
    if kind is not None:
        session.emitted = True
        assert kind in get_args(Kind)  # noqa: S101 - the parameter's type has checked it
        write(json.dumps(schema(cast("Kind", kind)), indent=2, ensure_ascii=False) + "\n")
        return
    assert folder is not None  # noqa: S101 - one of the two is there
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{name}.json" for name in KINDS]
    for name, file in zip(KINDS, files, strict=True):
        file.write_text(json.dumps(schema(name), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    session.show({"files": [str(file) for file in files]}, Page().lines(map(str, files)))
