"""Copies the Slurm profile to the folder `slurm` of the checkout, where `snakemake --profile slurm` looks first.

    python workflow/profiles/install.py [account=NAME] [partition=NAME] [gpu_partition=NAME] [gpus=NUMBER] [gpu_model=NAME]
        [together=NUMBER]

The copy is the user's: it holds what is particular to a site, is not in git, and is never overwritten.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

SITE = ("account", "partition", "gpu_partition", "gpus", "gpu_model", "together")
NUMBERS = ("gpus", "together")
SOURCE = Path(__file__).parent / "slurm" / "config.yaml"
TARGET = Path("slurm") / "config.yaml"
NAME = re.compile(r"[A-Za-z0-9_.,-]+")


def fill_in(text: str, settings: list[str]) -> str:
    """Write settings of the site into the profile's text.

    Raises:
        ValueError: an unknown setting, or a value that is not a name.
    """
    for setting in settings:
        name, _, value = setting.partition("=")
        if name not in SITE:
            raise ValueError(f"setting must be one of {', '.join(SITE)}, got {name!r}; see the top of the profile")
        if value and not (value.isdecimal() if name in NUMBERS else NAME.fullmatch(value)):
            rule = "a number" if name in NUMBERS else "letters, digits, dots, commas, hyphens and underscores"
            raise ValueError(f"{name} must be {rule}, got {value!r}; edit {TARGET} for anything else")
        if value:
            written = value if name in NUMBERS else f'"{value}"'
            text = re.sub(rf"^(  {name}: )\S+", lambda found, written=written: found[1] + written, text, flags=re.MULTILINE)
    return text


def install(settings: list[str]) -> str:
    """Write the user's copy; what to say about it.

    Raises:
        ValueError: there is one already that says something else.
    """
    text = fill_in(SOURCE.read_text(encoding="utf-8"), settings)
    if TARGET.exists() and TARGET.read_text(encoding="utf-8") != text:
        raise ValueError(
            f"{TARGET} must be absent or as it would be written, got one that differs; edit it, or move it away first"
        )
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(text, encoding="utf-8")
    return f"{TARGET} is yours to edit; run: snakemake --profile slurm"


if __name__ == "__main__":
    try:
        print(install(sys.argv[1:]))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
