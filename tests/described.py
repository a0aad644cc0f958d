"""Answers held against what /openapi.json says of them."""

from typing import Any

from jsonschema import Draft202012Validator

from tests.worker import Answer


def check(document: dict[str, Any], method: str, path: str, answer: Answer) -> None:
    """The status, the media type and the body are described, and the body has no field that is not."""
    responses = document["paths"][path][method.lower()]["responses"]
    assert str(answer.status) in responses, f"{method} {path}: {answer.status} is not described"
    content = responses[str(answer.status)]["content"]
    media = answer.headers.get_content_type()
    assert media in content, f"{method} {path}: {media} is not described"
    if media == "application/json":
        schema = {"components": strict(document["components"]), **strict(content[media]["schema"])}
        errors = [error.message for error in Draft202012Validator(schema).iter_errors(answer.json)]
        assert not errors, f"{method} {path}: {errors[:3]}"


def strict(schema: Any) -> Any:
    """The schema, without room for fields that it does not name."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: strict(one) for name, one in schema.items()}
    return (
        {"additionalProperties": False, **found} if isinstance(found.get("properties"), dict) and found.get("type") == "object" else found
    )
