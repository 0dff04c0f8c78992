"""How the tour speaks and insists: numbered steps, timed requests, expectations that end it."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

import requests

ResultT = TypeVar("ResultT")

REQUEST_SECONDS = 30.0


class MismatchError(AssertionError):
    """The system did not do what the story says; ends the tour with exit code 1."""


@dataclass
class Answer:
    """A response as the story reads it: status, parsed body, headers."""

    status: int
    body: Any
    headers: Mapping[str, str]

    def __getitem__(self, name: str) -> Any:
        if not isinstance(self.body, dict) or name not in self.body:
            raise MismatchError(f"an answer with status {self.status} has no {name}: {self.body}")
        return self.body[name]


@dataclass
class Narrator:
    """Prints each step with its requests and their times, and counts both."""

    steps: int = 0
    calls: int = 0
    started: float = field(default_factory=time.monotonic)
    _session: requests.Session = field(default_factory=requests.Session)

    def chapter(self, title: str) -> None:
        """Begin a chapter of the story."""
        print(f"\n{title}\n{'─' * len(title)}", flush=True)

    @contextmanager
    def step(self, sentence: str) -> Iterator[None]:
        """Tell one step; the time it took stands behind it."""
        self.steps += 1
        begun = time.monotonic()
        print(f"{self.steps:>3}. {sentence}", flush=True)
        yield
        print(f"     ✓ {(time.monotonic() - begun) * 1000:,.0f} ms", flush=True)

    def say(self, text: str) -> None:
        """Print what was seen."""
        print(f"     {text}", flush=True)

    def call(self, method: str, url: str, *, quiet: bool = False, **options: Any) -> Answer:
        """Send a request and print it with its status and time."""
        self.calls += 1
        begun = time.monotonic()
        try:
            response = self._session.request(method, url, timeout=REQUEST_SECONDS, **options)
        except requests.RequestException as error:
            self.fail(f"{method} {url} got no answer: {error}")
        if not quiet:
            path = "/" + url.partition("://")[2].partition("/")[2]
            elapsed = (time.monotonic() - begun) * 1000
            print(f"     → {method} {path}  {response.status_code}  {elapsed:,.0f} ms", flush=True)
        return Answer(response.status_code, _parse(response), response.headers)

    def expect(self, holds: bool, otherwise: str) -> None:
        """End the tour unless something holds."""
        if not holds:
            self.fail(otherwise)

    def expect_equal(self, seen: object, wanted: object, what: str) -> None:
        """End the tour unless what was seen is what the story says."""
        self.expect(seen == wanted, f"{what}: expected {wanted!r}, saw {seen!r}")

    def wait_for(
        self, what: str, look: Callable[[], ResultT | None], *, seconds: float = 20.0
    ) -> ResultT:
        """Look until something is there; end the tour when it does not come."""
        deadline = time.monotonic() + seconds
        pause = 0.05
        while (found := look()) is None:
            if time.monotonic() > deadline:
                self.fail(f"{what}: nothing came within {seconds:.0f} s")
            time.sleep(pause)
            pause = min(pause * 1.5, 0.5)
        return found

    def fail(self, text: str) -> NoReturn:
        """End the tour."""
        raise MismatchError(text)

    def close(self) -> None:
        """Print the story's length."""
        elapsed = time.monotonic() - self.started
        print(f"\nThe story holds: {self.steps} steps, {self.calls} requests, {elapsed:.1f} s.")


def complain(text: str) -> None:
    """Print why the tour ends."""
    print(
        f"\n     ✗ {text}\n\nThe tour ends here: the system does not do what it should.",
        file=sys.stderr,
    )


def _parse(response: requests.Response) -> Any:
    try:
        return response.json()
    except json.JSONDecodeError:
        return response.text
