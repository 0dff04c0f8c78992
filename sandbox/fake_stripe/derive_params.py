"""Derive `params.json` from the `stripe` package: `python -m sandbox.fake_stripe.derive_params`.

Stripe's SDK (MIT, file generated from Stripe's OpenAPI description) types the parameters of every
call. Reading them by AST gives the names, which are required and the literal values, as a JSON
Schema subset: type, properties, required, enum, items, additionalProperties, anyOf and $ref.

It is a tool of the developer, never imported at run time: the sandbox's Lambda has no `stripe`.
"""

import ast
import importlib.metadata
import importlib.util
import json
from pathlib import Path
from typing import Any

TARGET = Path(__file__).with_name("params.json")

OPERATIONS = (
    "balance_transaction.list",
    "balance_transaction.retrieve",
    "charge.list",
    "charge.retrieve",
    "customer.create",
    "customer.delete",
    "customer.list",
    "customer.retrieve",
    "customer.update",
    "customer_payment_method.list",
    "customer_payment_method.retrieve",
    "event.list",
    "event.retrieve",
    "payment_intent.cancel",
    "payment_intent.capture",
    "payment_intent.confirm",
    "payment_intent.create",
    "payment_intent.list",
    "payment_intent.retrieve",
    "payment_intent.update",
    "payment_method.attach",
    "payment_method.create",
    "payment_method.detach",
    "payment_method.list",
    "payment_method.retrieve",
    "payment_method.update",
    "refund.create",
    "refund.list",
    "refund.retrieve",
    "refund.update",
    "setup_intent.cancel",
    "setup_intent.confirm",
    "setup_intent.create",
    "setup_intent.list",
    "setup_intent.retrieve",
    "setup_intent.update",
)

# Types with one property per payment method: only these properties keep their schema; the others
# are accepted with any content, because the sandbox serves cards only.
KEPT_METHODS = frozenset({"billing_details", "card"})
PER_METHOD_TYPES = ("PaymentMethodOptions", "PaymentMethodData", "PaymentMethodCreateParams")

Schema = dict[str, Any]


class Derivation:
    """Collects the schemas that the parameter classes of some operations need."""

    def __init__(self) -> None:
        spec = importlib.util.find_spec("stripe")
        if spec is None or spec.origin is None:
            raise SystemExit("the stripe package is not installed")
        self._folder = Path(spec.origin).parent / "params"
        self.definitions: dict[str, Schema] = {}

    def operation(self, name: str) -> str:
        """Read the parameters of one operation and return the name of their class."""
        module = self._folder / f"_{name.replace('.', '_')}_params.py"
        classes = {
            node.name: node
            for node in ast.parse(module.read_text()).body
            if isinstance(node, ast.ClassDef)
        }
        top = "".join(part.title() for part in name.replace(".", "_").split("_")) + "Params"
        self._define(top, classes)
        return top

    def _define(self, name: str, classes: dict[str, ast.ClassDef]) -> None:
        if name in self.definitions:
            return
        definition: Schema = {"type": "object", "properties": {}}
        self.definitions[name] = definition
        required = []
        for statement in classes[name].body:
            if not isinstance(statement, ast.AnnAssign) or not isinstance(
                statement.target, ast.Name
            ):
                continue
            field, annotation = statement.target.id, statement.annotation
            if isinstance(annotation, ast.Subscript) and _name(annotation.value) == "NotRequired":
                annotation = annotation.slice
            else:
                required.append(field)
            if name.endswith(PER_METHOD_TYPES) and _is_left_open(field, annotation):
                definition["properties"][field] = {"type": "object"}
            else:
                definition["properties"][field] = self._schema(annotation, classes)
        if required:
            definition["required"] = required

    def _schema(self, node: ast.expr, classes: dict[str, ast.ClassDef]) -> Schema:
        match node:
            case ast.Constant(value=str() as quoted):
                return self._schema(ast.parse(quoted, mode="eval").body, classes)
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return _any_of([self._schema(left, classes), self._schema(right, classes)])
            case ast.Subscript(value=value, slice=argument):
                return self._generic(_name(value), argument, classes)
        name = _name(node)
        simple = {"str": "string", "int": "integer", "bool": "boolean", "float": "number"}
        if name in simple:
            return {"type": simple[name]}
        if name == "Decimal":
            return {"type": "number"}
        self._define(name, classes)
        return {"$ref": name}

    def _generic(self, name: str, argument: ast.expr, classes: dict[str, ast.ClassDef]) -> Schema:
        arguments = list(argument.elts) if isinstance(argument, ast.Tuple) else [argument]
        match name:
            case "Literal":
                return {"enum": [ast.literal_eval(value) for value in arguments]}
            case "Union":
                return _any_of([self._schema(member, classes) for member in arguments])
            case "List":
                return {"type": "array", "items": self._schema(arguments[0], classes)}
            case "Dict":
                values = self._schema(arguments[1], classes)
                return {"type": "object", "additionalProperties": values}
            case "UntypedStripeObject":
                return {"type": "object", "additionalProperties": {"type": "string"}}
        raise NotImplementedError(f"annotation {name}[{ast.unparse(argument)}]")


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else ast.unparse(node)


def _is_left_open(field: str, annotation: ast.expr) -> bool:
    refers_to_class = "Params" in ast.unparse(annotation)
    return refers_to_class and field not in KEPT_METHODS


def _any_of(members: list[Schema]) -> Schema:
    """Merge the members of a union.

    The SDK types an enumeration as `Literal[...] | str`, to survive values of later versions; the
    API refuses them, so a string beside literals is dropped. Beside `''` alone it stays: that
    literal only says that the parameter can be unset.
    """
    flat: list[Schema] = []
    for member in members:
        flat.extend(member.get("anyOf", [member]))
    literals = sorted({value for member in flat for value in member.get("enum", [])})
    others: list[Schema] = []
    for member in flat:
        if "enum" in member or member in others:
            continue
        if member == {"type": "string"} and any(literals):
            continue
        others.append(member)
    merged = ([{"enum": literals}] if literals else []) + others
    return merged[0] if len(merged) == 1 else {"anyOf": merged}


def derive() -> dict[str, Any]:
    """The content of `params.json` for the installed SDK."""
    from stripe._api_version import _ApiVersion

    derivation = Derivation()
    operations = {name: derivation.operation(name) for name in OPERATIONS}
    return {
        "source": f"PyPI stripe {importlib.metadata.version('stripe')}, stripe/params/*.py",
        "licence": "MIT, Copyright (c) 2010-2018 Stripe (https://stripe.com)",
        "derived_by": "sandbox/fake_stripe/derive_params.py",
        "api_version": _ApiVersion.CURRENT,
        "operations": operations,
        "definitions": dict(sorted(derivation.definitions.items())),
    }


def render(content: dict[str, Any]) -> str:
    """One definition a line: small, and a change of the SDK reads well in a diff."""
    lines = [f"{json.dumps(key)}: {json.dumps(content[key])}" for key in list(content)[:-2]]
    for section in list(content)[-2:]:
        rows = [f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in content[section].items()]
        lines.append(f"{json.dumps(section)}: {{\n" + ",\n".join(rows) + "\n}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    TARGET.write_text(render(derive()))
