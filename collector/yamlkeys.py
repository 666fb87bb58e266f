"""Which keys a settings model knows at a path: so that an unknown key is answered with them."""

from types import UnionType
from typing import Annotated, Union, get_args, get_origin

from pydantic import BaseModel


def keys_at(model: type[BaseModel], loc: tuple[str | int, ...]) -> list[str]:
    """Return the sorted keys allowed in the mapping at `loc` (pydantic's error location)."""
    models = {model}
    for part in loc:
        models = _step(models, part)
    return sorted({_key(one, name) for one in models for name in one.model_fields})


def _step(models: set[type[BaseModel]], part: str | int) -> set[type[BaseModel]]:
    """Follow one part: a field opens its models; an index or a union tag stays among them."""
    opened = {
        inner
        for one in models
        for name, field in one.model_fields.items()
        if part in (name, field.alias)
        for inner in _models(field.annotation)
    }
    if opened or isinstance(part, int):
        return opened or models
    return {one for one in models if _has_tag(one, part)} or models


def _has_tag(model: type[BaseModel], tag: str) -> bool:
    return any(tag in get_args(field.annotation) for field in model.model_fields.values())


def _models(annotation: object) -> set[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    if get_origin(annotation) in (Annotated, Union, UnionType, tuple, list, dict):
        return {inner for one in get_args(annotation) for inner in _models(one)}
    return set()


def _key(model: type[BaseModel], name: str) -> str:
    return model.model_fields[name].alias or name
