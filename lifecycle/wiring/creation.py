"""Making a deployment: its folder, keys, settings and registers of operators; nothing that exists is replaced."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import lifecycle
from lifecycle.core.errors import InvalidDocument, Refused
from lifecycle.core.operator import OperatorKey, OperatorsFile
from lifecycle.documents import load, load_operators
from lifecycle.evidence.errors import EvidenceError
from lifecycle.evidence.keys import VerifyKey, check_key_name
from lifecycle.state import open_state
from lifecycle.wiring import keys
from lifecycle.wiring.deployment import SETTINGS_FILE, read_settings, state_url
from lifecycle.wiring.outside import replace

SETTINGS = """\
lifecycle: settings/v1
deployment: {deployment}
origin: {origin}
state: {{url: "sqlite:///state.db"}}
policies: policies
inventory: inventory.yaml
operators: operators.yaml
keys: keys
checkpoint: checkpoint
"""


def example_policies() -> Path:
    """Return the folder of the policies that come with the product."""
    package = Path(lifecycle.__file__).parent
    for folder in (package / "policies", package.parent / "policies"):
        if folder.is_dir():
            return folder
    raise Refused("the example policies are not installed", guard="not-installed", advice="Reinstall the package.")


def create(folder: Path, *, deployment: str, origin: str, agreements: tuple[str, ...] = ()) -> None:
    """Make a deployment's folder with keys, settings, an empty operators file, statutes and the named agreements.

    Raises InvalidDocument when the folder has a deployment already, or a name cannot be used; then nothing is made.
    """
    if (folder / SETTINGS_FILE).exists():
        msg = f"{folder.name}/ has a deployment already"
        raise InvalidDocument(msg, advice="Use another folder; nothing is ever replaced.")
    source = example_policies()
    settings = _settings(deployment, origin)
    _check_agreements(source, agreements)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys.create(folder / "keys")
    replace(folder / SETTINGS_FILE, settings)
    write_operators(folder / "operators.yaml", OperatorsFile(lifecycle="operators/v1"))
    for part in ("statutes", "agreements"):
        (folder / "policies" / part).mkdir(parents=True, exist_ok=True)
    for statute in sorted((source / "statutes").glob("*.yaml")):
        shutil.copyfile(statute, folder / "policies" / "statutes" / statute.name)
    shutil.copyfile(source / "operator.yaml", folder / "policies" / "operator.yaml")
    for name in agreements:
        shutil.copyfile(source / "agreements" / f"{name}.yaml", folder / "policies" / "agreements" / f"{name}.yaml")
    create_state(folder)


def _settings(deployment: str, origin: str) -> bytes:
    """Return the settings file, read once by the strict loader. Raises InvalidDocument."""
    try:
        check_key_name(origin)
    except EvidenceError as error:
        msg = f"the origin cannot name a log: {error}"
        raise InvalidDocument(msg, advice="Write a domain and a path, such as lifecycle.example.com/log.") from None
    content = SETTINGS.format(deployment=deployment, origin=origin).encode()
    load(content, "settings", file=SETTINGS_FILE)
    return content


def _check_agreements(source: Path, agreements: tuple[str, ...]) -> None:
    known = sorted(path.stem for path in (source / "agreements").glob("*.yaml"))
    for name in agreements:
        if name not in known:
            msg = f"no agreement {name!r} comes with the product"
            raise InvalidDocument(msg, advice=f"Name one of {', '.join(known)}, or none and write your own.")


def create_state(folder: Path) -> None:
    """Make the state of a deployment where there is none."""
    open_state(state_url(read_settings(folder), folder), create=True).close()


def add_operator(folder: Path, name: str, public: VerifyKey, today: date) -> OperatorKey:
    """Add a public key to the operators file. Raises Refused when the id or the key is in it already."""
    path = folder / read_settings(folder).operators
    known = load_operators(path)
    for operator in known.operators:
        if operator.id == name or operator.public_key == public.public_key:
            raise Refused(
                "the operator or the key is in the file already, perhaps as a removed one",
                guard="already-there",
                advice="Old approvals are checked under that name: use another id and a new key.",
            )
    added = OperatorKey(id=name, public_key=public.public_key, added_on=today)
    write_operators(path, known.model_copy(update={"operators": (*known.operators, added)}))
    return added


def remove_operator(folder: Path, name: str, today: date) -> OperatorKey:
    """Date the end of an operator's key; it stays in the file so that old approvals can be checked."""
    path = folder / read_settings(folder).operators
    known = load_operators(path)
    current = [o for o in known.operators if o.id == name and o.removed_on is None]
    if not current:
        msg = f"no operator {name!r} with a key in force"
        raise InvalidDocument(msg, advice="`lifecycle operator list` shows them.")
    ended = current[0].model_copy(update={"removed_on": today})
    rest = tuple(ended if operator == current[0] else operator for operator in known.operators)
    write_operators(path, known.model_copy(update={"operators": rest}))
    return ended


def write_operators(path: Path, operators: OperatorsFile) -> None:
    """Write the operators file whole, as YAML that the strict loader reads."""
    lines = ["lifecycle: operators/v1"]
    lines.append("operators:" if operators.operators else "operators: []")
    for operator in operators.operators:
        lines.append(f"  - id: {operator.id}")
        lines.append(f'    public_key: "{operator.public_key}"')
        lines.append(f"    added_on: {operator.added_on.isoformat()}")
        if operator.removed_on is not None:
            lines.append(f"    removed_on: {operator.removed_on.isoformat()}")
    replace(path, ("\n".join(lines) + "\n").encode(), mode=0o644)
