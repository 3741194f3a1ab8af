import torch

from biostyle.inference.strip import Rows, Step, Strip


def moving_sum(strip: Strip) -> Strip:
    values = strip.padded(1, "constant")[..., 1:-1]
    out = values[:, :, :-2] + values[:, :, 1:-1] + values[:, :, 2:]
    return Strip(out, 0 if strip.start == 0 else strip.start + 1, strip.height)


def test_asks_for_the_rows_beyond_and_pads_only_where_the_frame_ends() -> None:
    image = torch.arange(10.0)[None, None, :, None]
    asked = []

    def read(start: int, stop: int) -> torch.Tensor:
        asked.append((start, stop))
        return image[:, :, start:stop]

    step = Step(moving_sum, lambda start, stop: (start - 1, stop + 1), lambda n: n)
    rows = Rows(read, (10,)).then(step).then(step)
    whole = rows(0, 10)
    for start, stop in ((0, 1), (4, 6), (9, 10), (1, 9)):
        assert torch.equal(rows(start, stop), whole[:, :, start:stop])
    assert asked == [(0, 10), (0, 3), (2, 8), (7, 10), (0, 10)]
    assert rows.height == 10
    assert whole[0, 0, 4, 0] == 2 + 2 * 3 + 3 * 4 + 2 * 5 + 6
