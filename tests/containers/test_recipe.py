import subprocess

from sciflow.containers import recipe
from tests.containers import images


def test_an_image_of_a_registry_is_written_for_both_engines_by_digest():
    found = recipe.write(images.oci())
    assert (
        found["container/Dockerfile"]
        == f"# 127.0.0.1:5000/tools/tiny:1\nFROM 127.0.0.1:5000/tools/tiny@{images.SHA['manifest']}\n"
    )
    assert f"From: 127.0.0.1:5000/tools/tiny@{images.SHA['manifest']}" in found["container/apptainer.def"]


def test_a_debian_image_lists_its_packages_with_their_digests():
    assert recipe.write(images.debian())["container/packages.txt"] == f"hello=1.0 amd64 sha256:{'9' * 64}\n"


def test_a_debian_image_s_script_is_one_that_a_shell_reads(tmp_path):
    (tmp_path / "build.sh").write_text(recipe.write(images.debian())["container/build.sh"])
    assert subprocess.run(["sh", "-n", tmp_path / "build.sh"], check=False).returncode == 0


def test_an_image_file_and_no_image_have_no_recipe():
    assert recipe.write(images.file()) == {}
    assert recipe.write(None) == {}
