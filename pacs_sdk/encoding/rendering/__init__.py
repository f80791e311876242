"""Frames as pictures: grey and colour pipelines, windows, palettes, overlays."""

from pacs_sdk.encoding.rendering.modality import modality_values
from pacs_sdk.encoding.rendering.options import RenderOptions, RenderSettings
from pacs_sdk.encoding.rendering.render import RenderedFrame, render_frame
from pacs_sdk.encoding.rendering.resizing import MAX_RENDERED_PIXELS
from pacs_sdk.encoding.rendering.voi import image_windows
from pacs_sdk.encoding.rendering.window import VoiFunction, Window, apply_window

__all__ = [
    "MAX_RENDERED_PIXELS",
    "RenderOptions",
    "RenderSettings",
    "RenderedFrame",
    "VoiFunction",
    "Window",
    "apply_window",
    "image_windows",
    "modality_values",
    "render_frame",
]
