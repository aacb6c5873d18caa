# Made from dunlin/_async/__init__.py by tools/unasync.  Do not edit.
"""The synchronous half."""
