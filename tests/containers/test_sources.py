from dataclasses import replace

from sciflow import containers
from sciflow.containers import sources
from sciflow.containers.image import Wheel
from sciflow.containers.locked import pin
from sciflow.workflow.spec import Image
from tests.containers import images


def test_a_pin_fits_the_reference_it_was_made_of_and_no_other():
    assert containers.fits(Image(source="from", reference="docker://127.0.0.1:5000/tools/tiny:1"), images.oci())
    assert not containers.fits(Image(source="from", reference="docker://127.0.0.1:5000/tools/tiny:2"), images.oci())


def test_a_pin_fits_the_packages_it_was_made_of_and_no_other():
    assert containers.fits(Image(source="debian", reference="bookworm", packages=("hello", "hello")), images.debian())
    assert not containers.fits(Image(source="debian", reference="bookworm", packages=()), images.debian())
    assert not containers.fits(Image(source="debian", reference="trixie", packages=("hello",)), images.debian())


def test_an_image_file_and_no_image_have_no_recipe():
    assert containers.recipes(images.file()) == {}
    assert containers.recipes(None) == {}


def test_a_pin_fits_only_what_the_workflow_adds_to_it():
    asked = Image(source="debian", reference="bookworm", packages=("hello",), environment=(("A", "1"),))
    assert not containers.fits(asked, images.debian())


def test_a_pin_no_longer_fits_when_a_file_it_was_made_of_changed_or_went(tmp_path):
    for name in ("flake.nix", "tools.nix"):
        (tmp_path / name).write_text(name)
    asked = Image(source="nix", reference=".#env")
    files = tuple(pin(tmp_path / name, name) for name in ("flake.nix", "tools.nix"))
    pinned = replace(images.debian(), source="nix", reference=".#env", asked=(), files=files)
    assert containers.fits(asked, pinned, folder=tmp_path)
    (tmp_path / "tools.nix").write_text("other")
    assert not containers.fits(asked, pinned, folder=tmp_path)
    (tmp_path / "tools.nix").unlink()
    assert not containers.fits(asked, pinned, folder=tmp_path)


def test_a_pin_no_longer_fits_when_its_requirements_changed(tmp_path):
    (tmp_path / "r.txt").write_text("tiny\n")
    asked = Image(source="debian", reference="bookworm", packages=("hello",), python="r.txt")
    pinned = replace(images.debian(), python="r.txt", requirements=(pin(tmp_path / "r.txt", "r.txt"),))
    assert containers.fits(asked, pinned, folder=tmp_path)
    (tmp_path / "r.txt").write_text("tiny>1\n")
    assert not containers.fits(asked, pinned, folder=tmp_path)


def test_what_a_pin_was_asked_for_by_is_told_back():
    asked = Image(source="nix", reference=".#env", files=("*.patch",), labels=(("a", "b"),))
    pinned = replace(images.debian(), source="nix", reference=".#env", asked=("*.patch",), labels=(("a", "b"),))
    assert sources.asked(pinned) == asked
    assert sources.asked(images.debian()).packages == ("hello",)


def test_an_image_is_built_again_from_its_wheels_and_its_closure():
    wheel = Wheel(name="tiny", version="1", file="t.whl", sha256="1" * 64, size=1, url="u")
    pinned = replace(images.debian(), wheels=(wheel,), digests=(*images.debian().digests, ("closure", "sha256:2")))
    assert set(containers.parts(pinned)) == {f"sha256:{'1' * 64}", "sha256:2"}
    assert containers.recipes(pinned)["container/requirements.txt"] == f"tiny==1 --hash=sha256:{'1' * 64}\n"
