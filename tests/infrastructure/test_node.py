"""The CDK gets a Node.js that it supports, without anybody having to install one by hand."""

import os
from pathlib import Path

import pytest

from cdk import node


@pytest.fixture(autouse=True)
def undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin as a process begins that has not chosen yet."""
    monkeypatch.setenv("JSII_NODE", "")
    monkeypatch.delenv("JSII_NODE")


def install(folder: Path, version: str) -> Path:
    """Put a Node.js of this version into a folder, as far as anybody asks it."""
    program = folder / "node"
    program.write_text(f"#!/bin/sh\necho {version}\n", encoding="utf-8")
    program.chmod(0o755)
    return program


def test_the_choice_of_somebody_else_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JSII_NODE", "/opt/node")

    node.use_supported_node()

    assert os.environ["JSII_NODE"] == "/opt/node"


def test_a_supported_node_of_the_system_serves_where_none_was_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node, "_installed_wheel", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    program = install(tmp_path, "v22.3.0")

    node.use_supported_node()

    assert os.environ["JSII_NODE"] == str(program)


@pytest.mark.parametrize("version", ["v20.20.2", "nonsense"])
def test_a_node_past_its_end_of_life_is_not_used(version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "_installed_wheel", lambda: None)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    install(tmp_path, version)

    with pytest.raises(node.NodeNotFoundError, match=r"needs Node\.js 22 or newer"):
        node.use_supported_node()
