"""`torch.hub`: refused in one clear line, as it would run code from the network."""

from __future__ import annotations

from typing import Any, NoReturn

from .names import missing_in

__all__ = ["download_url_to_file", "get_dir", "help", "list", "load", "load_state_dict_from_url",
           "set_dir"]


def _refused(what: str) -> Any:
    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError(
            f"torch.hub.{what}: minigrad fetches nothing from the network. Download the weights "
            "yourself, and load them with torch.load or minigrad.utils.safetensors")

    refuse.__name__ = refuse.__qualname__ = what
    refuse.__doc__ = "Refused: see the module."
    return refuse


load, list, help = _refused("load"), _refused("list"), _refused("help")
get_dir, set_dir = _refused("get_dir"), _refused("set_dir")
download_url_to_file = _refused("download_url_to_file")
load_state_dict_from_url = _refused("load_state_dict_from_url")

__getattr__ = missing_in(__name__)
