import pytest

from biostyle.progress import Progress, SilentProgress


def test_silence_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    progress: Progress = SilentProgress()
    progress.stage("prepared/a", "making")
    progress.update(1, 2, {"loss": 0.5})
    progress.note("scored 3 of 8 frames")
    assert capsys.readouterr() == ("", "")
