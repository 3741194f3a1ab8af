"""biostyle: unpaired style adaptation for frozen biomedical segmenters.

A segmenter ``S_A`` works on images of kind A. A stylizer ``G_B→A``, learned without pairs and without
annotations of B, brings new images to the look of A, and ``S_B = S_A ∘ G_B→A`` segments them.
Importing this package is cheap: nothing heavy is loaded until a submodule is asked for.
"""

from importlib.metadata import version

__version__ = version("biostyle")
