"""The verifier as a command: alone, offline, and without a traceback whatever it is given."""

import json
import os
import random
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import rfc8785

import lifecycle.evidence
from lifecycle.evidence.__main__ import main
from tests.evidence import world

ROOT = Path(lifecycle.evidence.__file__).parents[2]
STORIES = {name: world.make(name) for name in sorted(world.STORIES)}
MADE = STORIES["mandate"]


@pytest.fixture
def files(tmp_path):
    """A genuine bundle and its trust file."""
    bundle, trust = tmp_path / "certificate.zip", tmp_path / "trust.yaml"
    bundle.write_bytes(MADE.data)
    trust.write_bytes(MADE.trust.encode())
    return bundle, trust


def python(*arguments, **options):
    """A fresh interpreter that knows nothing of this one but the path to the package."""
    cwd = options.pop("cwd", ROOT)
    stdout = options.pop("stdout", subprocess.PIPE)
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **options}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=env, stdout=stdout, stderr=subprocess.PIPE, check=False, timeout=60)


@pytest.mark.parametrize("story", sorted(STORIES))
def test_a_valid_certificate_exits_0(story, files, capsys):
    """The report names the verdict and the certificate."""
    bundle, trust = files
    bundle.write_bytes(STORIES[story].data)
    assert main([str(bundle), "--trust", str(trust)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("VALID")
    assert "Löschbestätigung 2026-0001" in out


def test_a_changed_certificate_exits_1(files, capsys):
    """Invalid, with the reason."""
    bundle, trust = files
    bundle.write_bytes(MADE.data[:-1])
    assert main([str(bundle), "--trust", str(trust), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["verdict"] == "invalid"
    assert report["facts"] == {}


def test_a_missing_proof_exits_3(files, capsys):
    """Incomplete: the trust file has no anchor."""
    bundle, trust = files
    trust.write_text(json.dumps({**json.loads(trust.read_text()), "anchors": []}))
    assert main([str(bundle), "--trust", str(trust)]) == 3
    assert capsys.readouterr().out.startswith("INCOMPLETE")


def test_the_readers_clock_refuses_the_future(files, capsys):
    """--now before the certificate's date."""
    bundle, trust = files
    assert main([str(bundle), "--trust", str(trust), "--now", "2026-03-02T00:00:00Z"]) == 0
    assert main([str(bundle), "--trust", str(trust), "--now", "2026-02-01T00:00:00Z"]) == 1
    assert "[future]" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["{bundle}"],
        ["--trust", "{trust}"],
        ["{bundle}", "--trust"],
        ["{bundle}", "--trust", "{trust}", "--now", "today"],
        ["{bundle}", "--trust", "{trust}", "--no"],
        ["{bundle}", "{bundle}", "--trust", "{trust}"],
        ["{bundle}", "--tru", "{trust}"],
    ],
)
def test_a_wrong_command_line_exits_2(files, arguments, capsys):
    """Usage, with a hint, before anything is read."""
    bundle, trust = files
    with pytest.raises(SystemExit) as caught:
        main([argument.format(bundle=bundle, trust=trust) for argument in arguments])
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_what_cannot_be_read_exits_2(files, tmp_path, capsys):
    """A missing file, a folder, a bundle in the place of the trust file."""
    bundle, trust = files
    for one, two in ((tmp_path / "x", trust), (tmp_path, trust), (bundle, tmp_path / "x"), (bundle, bundle)):
        assert main([str(one), "--trust", str(two)]) == 2
        message = capsys.readouterr().err
        assert message.startswith("lifecycle.evidence: ")
        assert message.count("\n") == 1


def test_help_explains_the_exit_codes(capsys):
    """Whoever asks gets purpose, arguments and exit codes."""
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    for word in ("BUNDLE", "--trust FILE", "--json", "--now INSTANT", "offline", "exit codes:", "incomplete"):
        assert word in out


def test_the_package_alone_verifies(files, tmp_path):
    """Copied to an empty folder, in a process that imports nothing else of lifecycle and nothing but two libraries."""
    alone = tmp_path / "alone"
    shutil.copytree(Path(lifecycle.evidence.__file__).parent, alone / "lifecycle" / "evidence")
    bundle, trust = files
    probe = (
        "import runpy, sys\n"
        "sys.argv[0] = 'verify'\n"
        "try:\n    runpy.run_module('lifecycle.evidence', run_name='__main__', alter_sys=True)\n"
        "except SystemExit as end:\n    assert end.code == 0, end.code\n"
        "print(sys.modules['lifecycle.evidence'].__file__, *sorted(sys.modules), file=sys.stderr)\n"
    )
    # -S: no site, so no editable install of the product; the libraries are found as a plain folder.
    libraries = Path(rfc8785.__file__).parents[1]
    command = ["-S", "-c", probe, bundle, "--trust", trust]
    result = python(*command, cwd=alone, PYTHONPATH=os.pathsep.join(map(str, (alone, libraries))))
    assert result.returncode == 0, result.stderr
    file, *loaded = result.stderr.decode().split()
    assert Path(file).is_relative_to(alone)
    ours = {name for name in loaded if name.split(".")[0] == "lifecycle"}
    assert all(name == "lifecycle" or name.startswith("lifecycle.evidence") for name in ours)
    foreign = {name.split(".")[0] for name in loaded} - sys.stdlib_module_names - {"lifecycle"}
    assert foreign - {"__main__"} <= {"cryptography", "rfc8785", "_cffi_backend", "_openssl"}
    direct = ["-S", "-m", "lifecycle.evidence", bundle, "--trust", trust]
    assert python(*direct, cwd=alone, PYTHONPATH=os.pathsep.join(map(str, (alone, libraries)))).returncode == 0


def test_the_report_survives_any_terminal(files):
    """An ASCII terminal gets escapes, not an error; a reader that leaves early gets no complaint."""
    bundle, trust = files
    command = ["-m", "lifecycle.evidence", bundle, "--trust", trust]
    plain = python(*command, PYTHONIOENCODING="ascii")
    assert plain.returncode == 0
    assert rb"L\xf6schbest\xe4tigung" in plain.stdout
    reader, writer = os.pipe()
    os.close(reader)
    left = python(*command, stdout=writer)
    os.close(writer)
    assert (left.returncode, left.stderr) == (0, b"")


def test_a_reader_that_leaves_early_changes_nothing_of_the_verdict(files, monkeypatch):
    """The exit code is the verdict, whether or not somebody reads the report."""
    bundle, trust = files
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", encoding="utf-8") as left:
        monkeypatch.setattr(sys, "stdout", left)
        assert main([str(bundle), "--trust", str(trust)]) == 0


def test_the_module_runs_as_a_command(files, monkeypatch, capsys):
    """python -m lifecycle.evidence."""
    bundle, trust = files
    monkeypatch.setattr(sys, "argv", ["evidence", str(bundle), "--trust", str(trust)])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(Path(lifecycle.evidence.__file__).parent / "__main__.py"), run_name="__main__")
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("VALID")


def garbage(chance, genuine):
    """Bytes that resemble what is expected, more or less."""
    kind = chance.randrange(5)
    if kind == 0:
        return chance.randbytes(chance.randrange(200))
    if kind == 1:
        return genuine[: chance.randrange(len(genuine))]
    data = bytearray(genuine)
    for _ in range(chance.randrange(1, 8)):
        at = chance.randrange(len(data))
        if kind == 2:
            data[at] = chance.randrange(256)
        elif kind == 3:
            del data[at : at + chance.randrange(1, 40)]
        else:
            data[at:at] = chance.choice(
                [b"\0", b"[", b"{", b'"', b"\xff", b"9" * 400, b"[" * 3000, b"null", b"-1", b"1.0"]
            )
    return bytes(data)


def test_no_input_gives_a_traceback(files, capsys):
    """Hundreds of broken bundles and trust files: a verdict or a usage error, each time, and never valid by chance."""
    bundle, trust = files
    chance = random.Random(20260301)
    genuine_trust = MADE.trust.encode()
    codes = {0: 0, 1: 0, 2: 0, 3: 0}
    for number in range(600):
        bundle.write_bytes(garbage(chance, MADE.data) if number % 2 else MADE.data)
        trust.write_bytes(genuine_trust if number % 2 else garbage(chance, genuine_trust))
        codes[main([str(bundle), "--trust", str(trust)])] += 1
    captured = capsys.readouterr()
    assert "Traceback" not in captured.out + captured.err
    assert codes[1] >= 295
    assert codes[2] >= 270
