"""Where images come from: manifests, downloads, safe extraction, readers of each source, splits and tiles.

In: a data set's name or manifest, or a folder laid out as its publisher delivers it. Out: complete, verified
folders in the cache, and lists of frames with their masks. Raw data are never changed once they are in place,
and a folder under its final name is always complete. Pixels are read through :mod:`biostyle.io`. Models, scores
and command-line text never live here, and nothing in ``manifest``, ``fetch``, ``cache`` or ``extract`` needs
torch.
"""
