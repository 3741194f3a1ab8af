"""Pixels in and out of files.

In: a path to an image file, or a folder of them. Out: arrays with the file's own dtype and size, checked against
the contracts of :mod:`biostyle.types`, and files that are either complete or absent.

Two doors. :mod:`biostyle.io.frames` and :mod:`biostyle.io.labels` read and write one grayscale frame.
:func:`biostyle.io.volumes.open_volume` and :func:`biostyle.io.volume_writer.write_volume` take any TIFF, ImageJ,
OME-TIFF, PNG, JPEG or OME-Zarr file plane by plane and give back the same kind of file with its axes and metadata;
:func:`biostyle.io.inputs.find_inputs` lists the files. Labels are instance identities, masks are class indices
(:func:`biostyle.io.labels.labels_to_mask`).

Never here: torch, model code, scores, a pixel changed while reading (floats of 16 and 64 bits become float32), or
data-set knowledge beyond the Cell Tracking Challenge's file names.
"""
