"""The environment of each system: made by pip from the versions in ``requirements/``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from peers.places import cache
from peers.systems import SYSTEMS

REQUIREMENTS = Path(__file__).parent / "requirements"


def python(system: str) -> Path:
    """Return the interpreter that runs `system`; its environment is made where there is none.

    An environment is kept as long as its requirements stay as they are.
    """
    if not SYSTEMS[system].apart:
        return Path(sys.executable)
    wanted = (REQUIREMENTS / f"{system}.txt").read_text()
    folder = cache() / "environments" / system
    interpreter, made = folder / "bin" / "python", folder / "requirements.txt"
    if not made.is_file() or made.read_text() != wanted:
        print(f"making the environment of {system}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [str(interpreter), "-m", "pip", "install", "--quiet", "--requirement"]
        subprocess.run([*pip, str(REQUIREMENTS / f"{system}.txt")], check=True)
        made.write_text(wanted)
    return interpreter
