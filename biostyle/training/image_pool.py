"""The replay buffer of translated images."""

from __future__ import annotations

from typing import Any

import torch


class ImagePool:
    """Show the discriminator a history of translations instead of only the newest.

    Parameters
    ----------
    size : int
        Number of images kept (50 in the paper); 0 switches the pool off.

    References
    ----------
    .. [1] Shrivastava et al., "Learning from Simulated and Unsupervised Images through Adversarial Training",
       CVPR 2017. :doi:`10.1109/CVPR.2017.241`
    """

    def __init__(self, size: int = 50) -> None:
        self.size = size
        self.images: list[torch.Tensor] = []

    def exchange(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Put new images in and take as many out.

        Parameters
        ----------
        images : Tensor of shape (N, C, H, W)
            The newest translations, detached.
        generator : Generator
            Source of the random choices.

        Returns
        -------
        Tensor of shape (N, C, H, W)
            Until the pool is full, the images themselves; after that each is swapped, with probability one half,
            for one from the pool.
        """
        if self.size == 0:
            return images
        chosen = []
        for image in images:
            if len(self.images) < self.size:
                self.images.append(image)
                chosen.append(image)
            elif torch.rand((), generator=generator) < 0.5:
                index = int(torch.randint(self.size, (), generator=generator))
                chosen.append(self.images[index])
                self.images[index] = image
            else:
                chosen.append(image)
        return torch.stack([image.to(images.device) for image in chosen])

    def state_dict(self) -> dict[str, Any]:
        """Return the images kept.

        Returns
        -------
        dict
            Fit for :func:`biostyle.checkpoints.save_state`.
        """
        return {"images": list(self.images)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put saved images back.

        Parameters
        ----------
        state : dict
            What :meth:`state_dict` returned.
        """
        self.images = list(state["images"])
