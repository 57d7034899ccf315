"""Writes docs/configuration.md out of the code: every setting, what it takes, its default and its meaning.

`python -m tools.configuration_reference` does it. What a setting means stands in streaming/config/,
below it. What it takes is what an error would say was expected. Presets say what a model sets otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from streaming.complaints import expected
from streaming.config import PRESETS, Config, Section, load

PAGE = Path(__file__).resolve().parents[1] / "docs" / "configuration.md"
MODELS = ("tiny", "edge", "r50", "swinb")

# Units are in the names of settings.
UNITS = {
    "_s": "seconds",
    "_dbfs": "dB relative to full scale",
    "_fps": "pictures per second",
    "_side": "pixels",
    "_width": "pixels",
    "_height": "pixels",
}

HEAD = """\
# Configuration reference

Every setting. This page is made from [streaming/config](../streaming/config/__init__.py) and the presets by
`python -m tools.configuration_reference`, so change the text there.

Settings come in layers, each over the one before:

1. the defaults below;
2. the preset of the model: [tiny](../configs/tiny.yaml) unless `--model` or `model.name` says
   [edge](../configs/edge.yaml), [r50](../configs/r50.yaml) or [swinb](../configs/swinb.yaml);
3. the file given with `--config`;
4. the command line: `--set KEY=VALUE` for any key below, and options such as `--source` for the usual ones.

Where a preset differs, its value stands in brackets behind the default. Without any configuration, the preset
tiny applies.

```yaml
source:
  hop_s: 0.5
output:
  mqtt:
    silent_s: 2
```

in a file is the same as `--set source.hop_s=0.5 --set output.mqtt.silent_s=2`. A later layer replaces a list
whole. An empty value takes back what a lower layer says. Paths are relative to the folder that the command is
given in. An unknown key, or a value that will not do, is an error with file, line and key.
`python run_pipeline.py check FILE` tells all of them and starts nothing.

Settings of training are another set: [training.md](training.md).
"""


@dataclass(frozen=True)
class Setting:
    """A row of the page.

    Attributes:
        key: all of it, as `--set` takes it: `source.hop_s`.
        field: what pydantic knows of it.
        is_section: it only holds others, which follow.
    """

    key: str
    field: Any
    is_section: bool

    @property
    def takes(self) -> str:
        if self.is_section:
            return "a section"
        told = expected(Annotated[self.field.annotation, self.field])
        unit = next((unit for ending, unit in UNITS.items() if self.key.endswith(ending)), None)
        return f"{told} ({unit})" if unit else told

    @property
    def meaning(self) -> str:
        section = self.field.annotation if self.is_section else None
        return _in_docs(self.field.description or section.__doc__)


def settings(section: type[Section], at: str) -> Iterator[Setting]:
    """All settings of a section, those of the sections in it behind their own row."""
    for name, field in section.model_fields.items():
        inner = _section(field.annotation)
        yield Setting(f"{at}.{name}", field, inner is not None)
        if inner is not None:
            yield from settings(inner, f"{at}.{name}")


def page() -> str:
    """The whole page, in Markdown."""
    presets = {name: load(PRESETS / f"{name}.yaml") for name in MODELS}
    parts = [HEAD]
    for name, field in Config.model_fields.items():
        section = _section(field.annotation)
        about = _in_docs(field.description or getattr(section, "__doc__", ""))
        parts.append(f"## {name}\n\n{about}\n")
        if section is not None:
            parts.append(_table(list(settings(section, name)), presets))
    return "\n".join(parts)


def _table(rows: Sequence[Setting], presets: dict[str, Config]) -> str:
    lines = ["| key | takes | default | meaning |", "|---|---|---|---|"]
    for row in rows:
        default = "" if row.is_section else _default(row.key, presets)
        cells = (f"`{row.key}`", row.takes, default, row.meaning)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _default(key: str, presets: dict[str, Config]) -> str:
    """The default of a setting, and in brackets what presets have instead of it."""
    plain = _value(Config(), key)
    others = {name: value for name, config in presets.items() if (value := _value(config, key)) != plain}
    told = ", ".join(f"{name} {_shown(value)}" for name, value in others.items())
    return f"{_shown(plain)} ({told})" if told else _shown(plain)


def _value(config: Config, key: str) -> Any:
    value: Any = config
    for name in key.split("."):
        value = getattr(value, name)
    return value


def _shown(value: Any) -> str:
    """A value as it is written in YAML."""
    if value is None or value == "" or value == []:
        return "nothing"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _section(annotation: Any) -> type[Section] | None:
    return annotation if isinstance(annotation, type) and issubclass(annotation, Section) else None


def _in_docs(text: str) -> str:
    """A docstring on one line, the pages that it names as links."""
    return re.sub(r"\(docs/(\w+\.md)\)", r"([\1](\1))", " ".join(text.split()))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
