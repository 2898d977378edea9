from sciflow.containers import apptainer, singularity
from tests.containers import images


def test_singularity_is_apptainer_by_its_other_name():
    box = singularity.box(images.debian())
    assert box["needs"] == ["singularity"]
    assert box["enter"][4:] == ["singularity", *apptainer.box(images.debian())["enter"][5:]]


def test_singularity_says_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not singularity.probe().works
    assert "`singularity` is not on PATH" in singularity.probe().advice
