"""The pages about the command line and the environment name every command, option and variable."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import creche
from creche._cli.parser import COMMANDS, make_parser

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "command-line.md").read_text()
VARIABLES = (DOCS / "environment.md").read_text()
PACKAGE = Path(creche.__file__).parent


def flags_of(command: str) -> list[str]:
    parser = argparse.ArgumentParser()
    COMMANDS[command][1](parser)
    return re.findall(r"(?<![\w-])--[a-z][a-z-]+", parser.format_help())


def test_every_command_and_option_is_on_the_page() -> None:
    assert make_parser().prog == "creche"
    for command in COMMANDS:
        assert f"creche {command}" in PAGE, command
        for flag in flags_of(command):
            assert flag in PAGE or flag == "--help", f"{command} {flag}"


def test_every_environment_variable_is_on_the_page() -> None:
    text = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    for name in set(re.findall(r'"(CRECHE_[A-Z_]+|NO_COLOR|FORCE_COLOR)"', text)):
        assert f"`{name}`" in VARIABLES, name
