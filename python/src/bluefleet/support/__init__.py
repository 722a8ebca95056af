"""What is done now and then from the control machine: a bundle for who is asked for help, an image pushed by hand."""

from bluefleet.support._bundle import Source, collect
from bluefleet.support._hidden import Hidden
from bluefleet.support._image import PushFailed, Registry, push

__all__ = ["Hidden", "PushFailed", "Registry", "Source", "collect", "push"]
