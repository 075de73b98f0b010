"""Names of clips: matched as they stand, then without a known audio extension; nothing else is ever stripped.

Score files carry a clip's stem (``3u1ue_s4``), tables carry its file name (``3u1ue_s4.wav``). Stems contain dots
(``Y00pbt6aJV8Y_350.000_360.000``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from rl_postproc.utils.audio_names import AUDIO_SUFFIXES, without_audio_suffix
from rl_postproc.utils.errors import UserError

__all__ = ["AUDIO_SUFFIXES", "folders_remedy", "match_names", "without_audio_suffix"]


def match_names(names: Iterable[str], listed: Collection[str]) -> dict[str, str]:
    """Finds each name among the listed ones: as it stands, else without its audio extension.

    Returns:
        The listed spelling by name, for the names that were found.

    Raises:
        UserError: a name without extension fits several listed ones.
    """
    exact = set(listed)
    by_stem: dict[str, list[str]] = {}
    for name in dict.fromkeys(listed):
        by_stem.setdefault(without_audio_suffix(name), []).append(name)
    found = {}
    for name in names:
        candidates = [name] if name in exact else by_stem.get(without_audio_suffix(name), [])
        if len(candidates) > 1:
            raise UserError(
                f"The clip '{name}' may be '{candidates[0]}' or '{candidates[1]}'; give its full file name."
            )
        if candidates:
            found[name] = candidates[0]
    return found


def folders_remedy(names: Sequence[str], listed: Collection[str]) -> str:
    """Returns the remedy where names fit listed ones but for their folders, else nothing.

    Args:
        names: names that were not found, such as ``Y1``.
        listed: names among which they were looked for, such as ``audio/eval/Y1.wav``.
    """
    by_base = {_base(name): name for name in listed}
    for name in names:
        other = by_base.get(_base(name))
        if other is not None:
            longer = max(name, other, key=lambda text: len(text.replace("\\", "/").split("/")))
            return f"'{longer}' is named with its folder: give base names, '{_last(longer)}', in both places"
    return ""


def _last(name: str) -> str:
    return name.replace("\\", "/").rsplit("/", 1)[-1]


def _base(name: str) -> str:
    return without_audio_suffix(_last(name))
