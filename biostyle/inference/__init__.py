"""Networks on frames of any size, exactly and within a stated memory.

In: a network of :mod:`biostyle.models`, and a frame or a sequence of frames. Out: what the network gives for the whole
frame, computed strip by strip or tile by tile where the whole would not fit. Files of images, and the choice of
which statistics a user wants, never live here.
"""

from biostyle.inference.frames import adapt_frame, segment_frame, stylize_frame
from biostyle.inference.settings import InferenceSettings
from biostyle.inference.stylizing import stack_statistics, stylize
from biostyle.inference.tiling import prepare_for_inference
from biostyle.inference.translation import measure_statistics, translate

__all__ = [
    "InferenceSettings",
    "adapt_frame",
    "measure_statistics",
    "prepare_for_inference",
    "segment_frame",
    "stack_statistics",
    "stylize",
    "stylize_frame",
    "translate",
]
