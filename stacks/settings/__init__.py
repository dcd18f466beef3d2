"""The deployment's settings: the only place where two installations may differ.

They choose names, places and sizes. What weakens a control needs an exception beside it (`stacks/register.py`).
"""

from stacks.settings.model import Settings
from stacks.settings.problems import SettingsError
from stacks.settings.sources import Configuration, read_configuration, read_settings

__all__ = ["Configuration", "Settings", "SettingsError", "read_configuration", "read_settings"]
