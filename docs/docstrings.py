"""What the API pages make of docstrings: links, and the settings of pydantic models, which are described in their fields."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import griffe


class FieldDescriptions(griffe.Extension):
    """Takes ``Field(default, description=...)`` apart: the description becomes the docstring, the default the value."""

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """Looks at one attribute; the description of a field is asked of the model, since some are put together."""
        call, model = attr.value, attr.parent
        if attr.docstring is not None or not isinstance(call, griffe.ExprCall) or not isinstance(model, griffe.Class):
            return
        if str(call.function) not in ("Field", "_strength") or not isinstance(model.parent, griffe.Module):
            return
        fields = getattr(getattr(import_module(model.module.path), model.name), "model_fields", {})
        text = fields[attr.name].description if attr.name in fields else None
        if text:
            attr.docstring = griffe.Docstring(text[0].upper() + text[1:].rstrip(".") + ".", parent=attr)
            first, *_rest = [*call.arguments, None]
            named = (a.value for a in call.arguments if isinstance(a, griffe.ExprKeyword) and a.name == "default")
            attr.value = next(named, None if isinstance(first, griffe.ExprKeyword) else first)


class Docstrings(griffe.Extension):
    """Has names such as `rl_postproc.counts.grid.sweep` link to where they are described, and shows examples as code."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Looks at one docstring; a name that is on no page stays as it is."""
        if obj.docstring is not None:
            link = r'<autoref identifier="\1" optional hover><code>\1</code></autoref>'
            text = re.sub(r"(?<!`)`(rl_postproc(?:\.\w+)+)`(?!`)", link, obj.docstring.value)
            obj.docstring.value = re.sub(r"(?m)^Example:$", "Examples:", text)
