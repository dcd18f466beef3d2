"""Releases of plain templates: built as an archive, signed, verified and read offline."""
