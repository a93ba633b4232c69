"""vane's settings, read by the twin from a run's config.yaml or from a preset.

Defaults come from src/config/*.def, the list that vane itself is built from, so the two cannot
drift apart. Every scalar stays text until a typed accessor asks for it: YAML's own guesses (1e-08 is
text to YAML 1.1, `none` may be a word or nothing) play no part.
"""

import pathlib
import re

import yaml

SOURCE = pathlib.Path(__file__).resolve().parents[2] / "src" / "config"

KEY = re.compile(
    r'^(?P<kind>INTEGER|REAL|BOOLEAN|TEXT|CHOICE|REALS|INTEGERS)\(\s*\w+,\s*"(?P<key>[\w.]+)",\s*'
    r'(?:"(?P<text>[^"]*)"|(?P<value>[^,]+))(?:,\s*"(?P<words>[^"]*)")?',
    re.MULTILINE,
)
LAYER_KEY = re.compile(
    r'^LAYER_KEY\(\s*(?P<layer>\w+),\s*\w+,\s*"(?P<key>\w+)",\s*(?P<kind>\w+),\s*(?P<value>-?\d+)',
    re.MULTILINE,
)


def default_settings():
    """Every key of keys.def with its default as text, or as an empty list."""
    defaults = {}
    for match in KEY.finditer((SOURCE / "keys.def").read_text()):
        kind, key = match["kind"], match["key"]
        if kind in ("REALS", "INTEGERS"):
            defaults[key] = []
        elif kind == "CHOICE":
            defaults[key] = match["words"].split("|")[int(match["value"])]
        else:
            defaults[key] = match["text"] if kind == "TEXT" else match["value"].strip()
    return defaults


def default_layers():
    """Per layer name its keys with their defaults as text."""
    layers = {}
    for match in LAYER_KEY.finditer((SOURCE / "layers.def").read_text()):
        layers.setdefault(match["layer"].lower(), {})[match["key"]] = match["value"]
    return layers


def flatten(tree, prefix=""):
    """{"a": {"b": 1}} becomes {"a.b": 1}."""
    flat = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            flat.update(flatten(value, f"{name}."))
        else:
            flat[name] = value
    return flat


def is_true(text):
    return str(text).lower() in ("true", "yes", "on", "1")


class Settings:
    """A configuration: `settings.real("optim.lr")`, `settings.trunk`."""

    def __init__(self, text, changes=None):
        given = flatten(yaml.load(text, Loader=yaml.BaseLoader) or {})
        given.update(changes or {})
        trunk = given.pop("model.trunk", [])
        known = default_settings()
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise ValueError(f"keys that keys.def does not have: {', '.join(unknown)}")
        self.values = {**known, **given}
        self.trunk = [self.layer(entry) for entry in trunk]

    @classmethod
    def read(cls, path, changes=None):
        return cls(pathlib.Path(path).read_text(), changes)

    @staticmethod
    def layer(entry):
        """One entry of model.trunk as (name, {key: int})."""
        name, given = (entry, {}) if isinstance(entry, str) else next(iter(entry.items()))
        keys = {**default_layers().get(name, {}), **(given or {})}
        flags = {"true": 1, "false": 0}
        return name, {key: int(flags.get(str(value).lower(), value)) for key, value in keys.items()}

    def word(self, key):
        return str(self.values[key])

    def real(self, key):
        return float(self.values[key])

    def whole(self, key):
        return int(self.values[key])

    def flag(self, key):
        return is_true(self.values[key])

    def reals(self, key):
        return [float(value) for value in self.values[key]]

    def wholes(self, key):
        return [int(value) for value in self.values[key]]
