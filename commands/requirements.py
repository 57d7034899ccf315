"""What has to be there before a command begins, told in one line where it is missing."""

from __future__ import annotations

from pathlib import Path

from model.errors import ModelError
from streaming.config import Config
from streaming.errors import UserError

CHECKPOINTS = (
    "Get `model_ov_avss_{name}.pth` from the links in the README of github.com/ruohaoguo/ovavss "
    "(OneDrive or Baidu), put it anywhere and give its path: --weights PATH (or model.checkpoint in a "
    "configuration). To try the machinery without it: --weights stand-in; its masks and labels mean nothing."
)


def require_model(config: Config) -> None:
    """Raises `UserError` that says what to fetch or install when something of the model is missing."""
    if config.model.family == "ov-avss":
        require_weights(config.model.name, config.model.checkpoint)
        return
    from nodes.openavs.providers import require_providers

    if config.model.checkpoint is not None:
        raise UserError(
            f"--weights: model {config.model.name!r} takes no checkpoint; its weights are set under openavs"
        )
    try:
        require_providers(config)
    except ModelError as error:
        raise UserError(str(error)) from error


def require_ov_avss(config: Config, command: str) -> None:
    """Raises `UserError` for a model that a command cannot look into."""
    if config.model.family != "ov-avss":
        raise UserError(
            f"{command}: model {config.model.name!r} is of the family {config.model.family}, expected one of "
            "ov-avss; `python -m benchmarks.real_clips` scores the others"
        )


def require_weights(name: str, checkpoint: str | None) -> None:
    """Raises `UserError` that says where to get weights when there are none."""
    from model.checkpoint import BUNDLED, weights_path

    if checkpoint is None:
        raise UserError(f"model {name!r} has no weights here. " + CHECKPOINTS.format(name=name))
    if checkpoint == "stand-in":
        return
    try:
        path = weights_path(checkpoint)
    except ModelError as error:
        raise UserError(str(error)) from error
    if path.is_file():
        return
    if checkpoint.startswith(BUNDLED):
        raise UserError(f"{path}: is missing; it comes with the project: fetch it again")
    raise UserError(f"{checkpoint}: no such checkpoint. " + CHECKPOINTS.format(name=name))


def require_writable(path: Path) -> None:
    """Raises `UserError` for a file that cannot be written, before it takes long to come to it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        there = path.exists()
        path.open("a").close()
        if not there:
            path.unlink()
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); choose another file") from error


def require_addresses(config: Config, who: str) -> None:
    """Raises `UserError` unless every link has an address that other machines can be told."""
    unused = {"keys"}
    if not config.shows_pictures:
        unused.add("previews")
    if not config.viewer.enabled:
        unused.add("broadcast")
    missing = [name for name, value in config.links.model_dump(exclude=unused).items() if value is None]
    if missing:
        raise UserError(
            f"{who} needs the addresses of its links: give links.{', links.'.join(missing)} "
            "in the configuration that all machines share"
        )
