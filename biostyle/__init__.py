"""biostyle: unpaired style adaptation for frozen biomedical segmenters.

A segmenter ``S_A`` works on images of kind A. A stylizer ``G_B→A``, learned without pairs and without
annotations of B, brings new images to the look of A, and ``S_B = S_A ∘ G_B→A`` segments them.
Importing this package is cheap: nothing heavy is loaded until a submodule is asked for.
"""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from biostyle.application import load

__version__ = version("biostyle")
__all__ = ["__version__", "load"]


def __getattr__(name: str) -> Any:
    """Import what is heavy when it is asked for."""
    if name == "load":
        from biostyle.application import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
