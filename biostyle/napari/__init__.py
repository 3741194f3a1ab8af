"""The napari plugin: challenge folders and label results, sample data, and one panel for an adapted model.

In: paths, layers and a model directory that napari hands over. Out: layers, result files, and notifications with the text
of biostyle's own errors. Nothing is computed here, and napari and Qt are imported inside functions alone, so that
everything else works without them. ``napari.yaml`` is the manifest.
"""
