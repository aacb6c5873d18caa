"""Fills a new layer with an image (see ../make)."""


class ImageError(Exception):
    """A reason, in words for whoever asked for the image, why it cannot be made."""
