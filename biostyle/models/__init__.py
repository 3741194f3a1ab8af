"""Networks, one architecture a file.

In: constructor arguments that fit into JSON. Out: a ``torch.nn.Module`` whose ``forward`` takes an ``ImageBatch``
in [0, 1] of any height and width and keeps that size. Ranges of other kinds (tanh, mean and standard deviation)
and padding live inside ``forward``. Losses, optimisers and files never live here.
"""
