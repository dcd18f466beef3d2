"""What is decided: one function for each control, pure, over facts of either mode.

A rule yields findings about every subject of its population. It reads facts through `world.all`, and never asks where
they came from except to leave out what one mode cannot know (the catalogue says so under `not_checked`).
"""
