"""Adapted models in the formats of other people's programs.

In: the directory of an adapted model. Out: one new file or folder (ONNX, BioImage.IO, Hugging Face) that computes the
same and needs no biostyle to be run, where the format allows it. Training, image files and uploads never live here.
"""
