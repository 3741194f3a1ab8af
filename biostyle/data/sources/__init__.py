"""Where images come from: one module a family of data sets, and one that simulates them.

What goes in: a folder laid out as its publisher delivers it.
What comes out: frozen records that pair every image with its masks by name, in a stable order.
What never lives here: reading pixels (``biostyle.io`` does), splits, tiling, or anything
that changes a delivered file.
"""
