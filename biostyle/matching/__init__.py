"""Deterministic steps from the look of B to the look of A, and what there is to know about a domain beforehand.

In: an ``ImageBatch`` in [0, 1] for the steps, raw frames of any dtype for the fingerprint; masks are optional, and those
of B are never needed. Out: an ``ImageBatch`` of the same size in [0, 1], or numbers and a plan that fit into JSON.

Object size is matched outside the steps, by the working scale of the preprocessing, so that a frame is resized once and
masks come back on the frame's own grid. Files, learned weights and scores never live here. The fingerprint and the
object size do not import torch.
"""
