"""Images asked for in one line, as the tests of this room do."""

from pathlib import Path

from sciflow.containers import pinning
from sciflow.containers.image import own_platform
from sciflow.workflow.spec import Image

ENGINES = {"squashfs": "apptainer", "archive": "docker"}


def resolve(source, reference, *, folder=Path(), platform=None, old=None, **more):
    asked = Image(source=source, reference=reference, **more)
    return pinning.resolve(asked, folder=folder, platform=platform or own_platform(), progress=print, old=old)


def again(pinned, form, folder=Path()):
    """Have one form of a pinned image present, made again if need be."""
    return pinning.fetch(pinned, engine=ENGINES[form], folder=folder, progress=print)
