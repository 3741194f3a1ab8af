"""Counts and scores of predictions, without torch.

In: masks as arrays (uint8 class indices or boolean, 255 is "not annotated"), counts, or values in frame
order. Out: counts per image, scores derived from them, intervals and tables. Undefined is NaN, and counted.

Never here: files, torch, models, or a score that cannot be derived from the counts that were kept.
"""
