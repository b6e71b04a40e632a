"""Streams and events, which are CuPy's under torch's names."""

from __future__ import annotations

from typing import Any

from .. import device as devices


def _cupy_cuda() -> Any:
    """CuPy's module `cuda`; torch's error where there is no GPU."""
    return devices.module_for(devices.device("cuda")).cuda


class Event:
    """A point in the work of a GPU, to be waited for, or measured from."""

    def __init__(self, enable_timing: bool = False, blocking: bool = False,
                 interprocess: bool = False, external: bool = False) -> None:
        self.event = _cupy_cuda().Event(blocking, not enable_timing, interprocess)
        self.timed, self.recorded = enable_timing, False

    def record(self, stream: Stream | None = None) -> None:
        """Let the event stand for all work given to the stream until now."""
        self.event.record((stream or current_stream()).stream)
        self.recorded = True

    def wait(self, stream: Stream | None = None) -> None:
        """Let the stream's further work wait for the event."""
        (stream or current_stream()).wait_event(self)

    def query(self) -> bool:
        """Whether the work is done."""
        return bool(self.event.done)

    def synchronize(self) -> None:
        """Wait until it is."""
        self.event.synchronize()

    def elapsed_time(self, end_event: Event) -> float:
        """The milliseconds from this event to the other."""
        if not (self.timed and end_event.timed):
            raise ValueError("Both events must be created with argument 'enable_timing=True'.")
        if not (self.recorded and end_event.recorded):
            raise ValueError("Both events must be recorded before calculating elapsed time.")
        return _cupy_cuda().get_elapsed_time(self.event, end_event.event)


class Stream:
    """A queue of work on a GPU, which runs beside those of other streams."""

    def __init__(self, device: Any = None, priority: int = 0, *, of: Any = None) -> None:
        self.stream = _cupy_cuda().Stream(non_blocking=True) if of is None else of

    def synchronize(self) -> None:
        """Wait until all work given to the stream is done."""
        self.stream.synchronize()

    def query(self) -> bool:
        """Whether all work is done."""
        return bool(self.stream.done)

    def record_event(self, event: Event | None = None) -> Event:
        """An event that stands for the work given until now."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """Let further work wait for the event."""
        self.stream.wait_event(event.event)

    def wait_stream(self, stream: Stream) -> None:
        """Let further work wait for what was given to another stream."""
        self.wait_event(stream.record_event())

    @property
    def cuda_stream(self) -> int:
        """The address of CUDA's own stream."""
        return self.stream.ptr

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and self.stream is other.stream

    def __hash__(self) -> int:
        return hash(id(self.stream))


class StreamContext:
    """Within this context, work goes to the stream; None changes nothing."""

    def __init__(self, stream: Stream | None) -> None:
        self.stream = stream

    def __enter__(self) -> None:
        if self.stream is not None:
            self.stream.stream.__enter__()

    def __exit__(self, *error: object) -> None:
        if self.stream is not None:
            self.stream.stream.__exit__(*error)


def stream(stream: Stream | None) -> StreamContext:
    """A context in which work goes to `stream`."""
    return StreamContext(stream)


def set_stream(stream: Stream | None) -> None:
    """Let this thread's work go to `stream` from now on."""
    if stream is not None:
        stream.stream.use()


def current_stream(device: Any = None) -> Stream:
    """The stream that work goes to now."""
    return Stream(of=_cupy_cuda().get_current_stream())


def default_stream(device: Any = None) -> Stream:
    """The stream that work goes to if nothing else is said."""
    return Stream(of=_cupy_cuda().Stream.null)
