"""The files that deploy Outlast, parsed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms: `!Sub x` becomes {"Fn::Sub": "x"}."""


def _long_form(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    match node:
        case yaml.ScalarNode():
            value: Any = loader.construct_scalar(node)
        case yaml.SequenceNode():
            value = loader.construct_sequence(node, deep=True)
        case yaml.MappingNode():
            value = loader.construct_mapping(node, deep=True)
    name = suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}"
    return {name: value}


_Loader.add_multi_constructor("!", _long_form)


def load(path: Path) -> dict[str, Any]:
    """Return what the YAML file holds."""
    return yaml.load(path.read_text(), _Loader)


TEMPLATE = load(DEPLOY / "template.yaml")
RESOURCES = TEMPLATE["Resources"]


def properties(name: str) -> dict[str, Any]:
    """Return the properties of a resource of the template."""
    return RESOURCES[name]["Properties"]


def statements(policy: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a policy's statements, those under a condition too."""
    for statement in policy["PolicyDocument"]["Statement"]:
        yield statement["Fn::If"][1] if "Fn::If" in statement else statement


def actions(policy: dict[str, Any]) -> set[str]:
    """Return all that a policy allows, but for the use of a key of the account."""
    rights: set[str] = set()
    for statement in statements(policy):
        action = statement["Action"]
        if statement["Resource"] == {"Ref": "KmsKeyArn"}:
            continue
        rights |= {action} if isinstance(action, str) else set(action)
    return rights
