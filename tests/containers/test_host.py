from sciflow.containers import host
from tests.containers import images


def test_the_host_runs_whatever_image_and_isolates_nothing():
    for image in (None, images.oci(), images.debian(), images.file()):
        assert host.box(image)["isolation"] == "none"
        assert host.box(image)["image"] is None


def test_the_host_is_entered_with_a_clean_environment_and_its_own_paths():
    box = host.box(None)
    assert box["enter"] == ["env", "-i", "PATH={path}"]
    assert box["paths"] is None


def test_the_host_always_works_and_warns():
    assert host.probe().works
    assert "nothing is isolated" in host.probe().advice
