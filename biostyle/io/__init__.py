"""Pixels in and out of files.

In: a path to a TIFF, PNG or 8-bit JPEG file, or a folder of them. Out: arrays with the file's own dtype and
size, checked against the contracts of :mod:`biostyle.types`, and files that are either complete or absent.
Labels are instance identities (:func:`biostyle.io.labels.read_labels`), masks are class indices
(:func:`biostyle.io.labels.labels_to_mask`).

Never here: torch, model code, scores, a pixel changed while reading, or data-set knowledge beyond the Cell
Tracking Challenge's file names.
"""
